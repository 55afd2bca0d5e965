"""`slurmkit render … | sbatch` on two real hosts, as a user types it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.slurm import programs
from tests.testbed.cluster import FINAL, SlurmCluster

SLURMKIT = Path(sys.executable).with_name("slurmkit")
ALL_REDUCE = Path(__file__).parents[2] / "jobs" / "all_reduce.yaml"
pytestmark = pytest.mark.usefixtures("slurm")


@pytest.fixture
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that every user may write to."""
    path = tmp_path_factory.mktemp("work")
    top = Path(tempfile.gettempdir())
    for folder in (path, *path.parents):
        if folder == top or top not in folder.parents:
            break
        folder.chmod(0o777)
    return path


def job(work: Path, program: str, **settings: str) -> Path:
    """Write a two-node job of four processes that runs a program of `programs`."""
    script = programs.write(work, "program.py", program)
    lines = [
        "name: two nodes é",
        "resources: {nodes: 2, processes_per_node: 2, cpus_per_node: 2, time: 5}",
        f"entrypoint: {{script: {script}}}",
        *(f"{key}: {value}" for key, value in settings.items()),
    ]
    path = work / "job.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def submit(
    slurm: SlurmCluster,
    work: Path,
    path: Path,
    *options: str,
    wait: bool = True,
    env: dict[str, str] | None = None,
) -> str:
    """Type `slurmkit render … | sbatch`; wait for the job's end; return its id."""
    render = shlex.join([str(SLURMKIT), "render", str(path), "--profile", "none", *options])
    command = ["bash", "-c", f"set -o pipefail; {render} | sbatch --parsable"]
    ran = slurm.run(command, cwd=work, timeout=180, env=env)
    found = re.match(r"\d+", ran.stdout)
    assert found, ran.stderr
    if wait:  # more closely than `sbatch --wait`, which looks every ten seconds
        slurm.wait(found[0], FINAL, timeout=180)
        while slurm.sacct(found[0])["job"]["End"] == "Unknown":  # the accounting hears of it later
            time.sleep(0.2)
    return found[0]


def log_of(work: Path, job_id: str) -> str:
    return (work / f"slurmkit-{job_id}.out").read_text(encoding="utf-8")


def run_directory(work: Path, job_id: str) -> Path:
    (found,) = work.glob(f"runs/*/{job_id}")
    return found


@pytest.mark.parametrize("rendezvous", ["static", "c10d"])
def test_all_reduce_over_two_nodes(slurm: SlurmCluster, work: Path, rendezvous: str) -> None:
    job_id = submit(slurm, work, ALL_REDUCE, "--set", f"launcher.rendezvous={rendezvous}")
    log = log_of(work, job_id)
    assert slurm.sacct(job_id)["job"]["State"] == "COMPLETED", log
    ranks = re.findall(r"^\[rank\d\] rank (\d)/4 host (node\d) local rank (\d)/2$", log, re.M)
    assert sorted(ranks) == [(str(r), f"node{r // 2 + 1}", str(r % 2)) for r in range(4)], log
    assert "meet at node1:" in log
    run = run_directory(work, job_id)
    assert sorted(path.name for path in (run / "logs").iterdir()) == [
        f"node{rank // 2 + 1}.rank{rank}.log" for rank in range(4)
    ]
    assert "rank 3/4 host node2" in (run / "logs" / "node2.rank3.log").read_text()
    assert json.loads((run / "status.json").read_text())["state"] == "done"
    events = [json.loads(line) for line in (run / "events" / "batch.jsonl").open()]
    assert [event["event"] for event in events] == ["started", "ended"]
    assert events[-1]["code"] == 0
    assert (run / "script.sbatch").read_text().startswith("#!/bin/bash\n")


def test_the_job_of_a_run_directory_renders_the_same_script(
    slurm: SlurmCluster, work: Path
) -> None:
    job_id = submit(slurm, work, ALL_REDUCE)
    run = run_directory(work, job_id)
    again = subprocess.run(
        [SLURMKIT, "render", run / "job.yaml", "--profile", "none"], capture_output=True, check=True
    )
    assert again.stdout == (run / "script.sbatch").read_bytes()


def test_hostile_names_and_comments_arrive_in_slurm(slurm: SlurmCluster, work: Path) -> None:
    name = 'it\'s "q" $(touch RAN) # \\ é `x` %j'
    path = job(work, "print('ran')")
    quoted = json.dumps(name, ensure_ascii=False)
    job_id = submit(
        slurm,
        work,
        path,
        "--set",
        f"name={quoted}",
        "--set",
        f"sbatch.comment={quoted}",
        wait=False,
    )
    shown = slurm.run(["squeue", "-h", "-j", job_id, "-o", "%j|%k"]).stdout.rstrip("\n")
    assert shown == f"{name}|{name}"
    slurm.wait(job_id, "COMPLETED", timeout=90)
    assert not (work / "RAN").exists()


def test_two_jobs_share_nodes(slurm: SlurmCluster, work: Path) -> None:
    path = job(work, programs.HELLO)
    ids = [submit(slurm, work, path, wait=False) for _ in range(2)]
    for job_id in ids:
        slurm.wait(job_id, ("COMPLETED", "FAILED"), timeout=120)
    masters = set()
    for job_id in ids:
        log = log_of(work, job_id)
        assert len(set(re.findall(r"world 4 rank \d on node\d", log))) == 4, log
        masters |= set(re.findall(r"master (node1:\d+)", log))
    assert len(masters) == 2


def test_a_crash_on_one_rank_ends_the_whole_job(slurm: SlurmCluster, work: Path) -> None:
    path = job(work, programs.CRASH, environment="{variables: {CRASH_IN: 0}}")
    started = time.monotonic()
    job_id = submit(slurm, work, path)
    assert time.monotonic() - started < 100, "the other ranks sleep for 600 s"
    assert slurm.sacct(job_id)["job"]["State"] == "FAILED"
    broken = (run_directory(work, job_id) / "logs" / "node2.rank3.log").read_text()
    assert broken.rstrip().endswith("RuntimeError: this rank is broken")
    assert "Traceback (most recent call last)" in broken


def test_one_restart_survives_a_crash(slurm: SlurmCluster, work: Path) -> None:
    path = job(
        work, programs.CRASH, environment="{variables: {CRASH_IN: 0}}", launcher="{restarts: 1}"
    )
    job_id = submit(slurm, work, path)
    log = log_of(work, job_id)
    assert slurm.sacct(job_id)["job"]["State"] == "COMPLETED", log
    ports = re.findall(r"meet at node1:(\d+)", log)
    assert len(set(ports)) == 2
    assert log.count("finished") == 4


def test_restarts_end(slurm: SlurmCluster, work: Path) -> None:
    path = job(
        work,
        programs.CRASH,
        environment='{variables: {CRASH_IN: "0,1,2"}}',
        launcher="{restarts: 1}",
    )
    job_id = submit(slurm, work, path)
    assert slurm.sacct(job_id)["job"]["State"] == "FAILED"
    assert log_of(work, job_id).count("meet at") == 2


def test_render_into_bash_inside_salloc(slurm: SlurmCluster, work: Path) -> None:
    render = shlex.join(
        [str(SLURMKIT), "render", str(job(work, programs.HELLO)), "--profile", "none"]
    )
    # From an allocation with settings of its own, which the step must not take over.
    ran = slurm.run(
        [
            "salloc",
            "-N2",
            "-n4",
            "-c2",
            "--mem-per-cpu=100",
            "bash",
            "-c",
            f"{render} | bash; echo code $?",
        ],
        cwd=work,
        env={"SLURM_CPU_BIND": "quiet,mask_cpu:0xffff0000", "SLURM_NTASKS_PER_NODE": "7"},
        timeout=120,
    )
    assert "code 0" in ran.stdout, ran.stdout + ran.stderr
    assert len(set(re.findall(r"world 4 rank \d on node\d", ran.stdout))) == 4


def test_submitted_from_inside_another_job(slurm: SlurmCluster, work: Path) -> None:
    render = shlex.join(
        [str(SLURMKIT), "render", str(job(work, programs.HELLO)), "--profile", "none"]
    )
    ran = slurm.run(
        ["salloc", "-N1", "-n3", "-c2", "--mem-per-cpu=200", "--gpus-per-node=1", "bash", "-c",
         f"{render} --set resources.memory_per_node=500M | sbatch --parsable --wait"],
        cwd=work,
        timeout=120,
    )  # fmt: skip
    job_id = ran.stdout.split()[-1]
    assert slurm.sacct(job_id)["job"]["State"] == "COMPLETED", log_of(work, job_id)


def test_cpus_and_gpus_reach_the_processes(slurm: SlurmCluster, work: Path) -> None:
    program = programs.HELLO + "print('gpus', os.environ['CUDA_VISIBLE_DEVICES'], flush=True)\n"
    options = ["resources.gpus_per_node=2", "resources.cpus_per_node=6"]
    sets = [word for option in options for word in ("--set", option)]
    job_id = submit(slurm, work, job(work, program), *sets)
    log = log_of(work, job_id)
    assert log.count("omp 3") == 4, log
    assert len(re.findall(r"gpus \d,\d$", log, re.M)) == 4, log


def test_unwritten_variables_are_passed_and_missing_ones_named(
    slurm: SlurmCluster, work: Path
) -> None:
    program = "import os; print('key has', len(os.environ['API_KEY']))"
    path = job(work, program, environment="{pass: [API_KEY]}")
    job_id = submit(slurm, work, path)
    assert slurm.sacct(job_id)["job"]["State"] == "FAILED"
    assert "API_KEY: must be set where the job is submitted" in log_of(work, job_id)
