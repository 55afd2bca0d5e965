"""The launchers srun and accelerate on two real nodes of two processes each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.slurm import programs
from tests.slurm.test_end_to_end import job, log_of, run_directory, submit, work
from tests.slurm.test_requeue import events, poll, start, stoppable
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

SRUN = ("--set", "launcher.kind=srun")
ACCELERATE = ("--set", "launcher.kind=accelerate")
BOTH = pytest.mark.parametrize("launcher", [SRUN, ACCELERATE], ids=["srun", "accelerate"])
PROOF = pytest.mark.proof
EVERYWHERE = [(str(rank), str(rank % 2), f"node{rank // 2 + 1}") for rank in range(4)]


def run(slurm: SlurmCluster, work: Path, path: Path, *options: str) -> tuple[str, str]:
    """Submit a job and wait for its end, more closely than `sbatch --wait`; return id and state."""
    job_id = submit(slurm, work, path, *options, wait=False)
    return job_id, slurm.wait(job_id, ("COMPLETED", "FAILED"), timeout=100)


def test_srun_starts_one_task_a_process(slurm: SlurmCluster, work: Path) -> None:
    program = programs.SURROUNDINGS + programs.HELLO
    cpus = ("--set", "resources.cpus_per_node=6")
    job_id, state = run(slurm, work, job(work, program), *SRUN, *cpus)
    log = log_of(work, job_id)
    assert state == "COMPLETED", log
    assert len(set(re.findall(r"^\[rank\d\] world 4 rank \d on node\d$", log, re.M))) == 4, log
    found = [json.loads(line) for line in re.findall(r"^\[rank\d\] found (.*)$", log, re.M)]
    assert sorted((f["RANK"], f["LOCAL_RANK"], f["node"]) for f in found) == EVERYWHERE
    same = {
        **{"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node1"},
        **{"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2"},
        **{"SLURM_CPUS_PER_TASK": "3", "OMP_NUM_THREADS": "3"},
    }
    for task in found:
        assert {name: task[name] for name in same} == same
        assert task["node"] == f"node{int(task['GROUP_RANK']) + 1}"
    for rank in range(4):
        own = run_directory(work, job_id) / "logs" / f"node{rank // 2 + 1}.rank{rank}.log"
        assert f"world 4 rank {rank} on" in own.read_text()


def test_one_dead_task_ends_the_step(slurm: SlurmCluster, work: Path) -> None:
    path = job(work, programs.CRASH, environment="{variables: {CRASH_IN: 0}}")
    job_id, state = run(slurm, work, path, *SRUN)
    assert state == "FAILED", "and at once: the other ranks sleep for 600 s"
    assert "RuntimeError: this rank is broken" in log_of(work, job_id)


@pytest.mark.parametrize(
    "launcher",
    [pytest.param(SRUN, id="srun"), pytest.param(ACCELERATE, marks=PROOF, id="accelerate")],
)
def test_the_signal_reaches_each_process_once_and_the_job_comes_back(
    slurm: SlurmCluster, work: Path, launcher: tuple[str, str]
) -> None:
    job_id = start(slurm, work, stoppable(work, leave_with=0, tell=1), *launcher)
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    again = "second run"
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, again, timeout=150)
    slurm.wait(job_id, "COMPLETED", timeout=60)
    assert log_of(work, job_id).count("saved on SIGUSR1") == 4
    assert "SIGTERM" not in log_of(work, job_id)


def test_a_cancelled_job_stays_cancelled(slurm: SlurmCluster, work: Path) -> None:
    # Its script lives on behind the TERM of scancel, and a requeue would succeed.
    options = (*SRUN, "--set", "environment.setup=[\"trap '' TERM\"]")
    job_id = start(slurm, work, stoppable(work, leave_with=3, tell=1), *options)
    slurm.run(["scancel", job_id])
    poll(slurm, lambda: "ended" in events(work, job_id), "end of the step")
    slurm.wait(job_id, "CANCELLED", timeout=90)
    assert "requeued" not in events(work, job_id)


def test_a_crash_is_no_preemption(slurm: SlurmCluster, work: Path) -> None:
    variables = "{variables: {CRASH_IN: 0}}"
    path = job(work, programs.CRASH, environment=variables, requeue="{lead_time: 60}")
    job_id, state = run(slurm, work, path, *SRUN)
    assert state == "FAILED"
    assert "requeued" not in events(work, job_id)
    marks = {path.name for path in (run_directory(work, job_id) / "events").glob("terminated-*")}
    assert marks <= {f"terminated-0-{rank}" for rank in range(3)}, "one task has none"


@PROOF
@BOTH
def test_a_preempted_job_comes_back(
    slurm: SlurmCluster, work: Path, launcher: tuple[str, str]
) -> None:
    path = stoppable(work, leave_with=3, tell=0)
    job_id = start(slurm, work, path, *launcher, "--set", "resources.partition=preemptible")
    slurm.submit("#!/bin/bash\nsleep 5\n", "--partition=main", "--nodes=2", "--exclusive")
    again = "second run"
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, again, timeout=300)
    slurm.wait(job_id, "COMPLETED", timeout=60)
    assert "SIGTERM" in log_of(work, job_id)


@pytest.mark.parametrize("rendezvous", ["static", pytest.param("c10d", marks=PROOF)])
def test_accelerate_over_two_nodes(slurm: SlurmCluster, work: Path, rendezvous: str) -> None:
    options = ("--set", f"launcher.rendezvous={rendezvous}")
    path = job(work, programs.ACCELERATE)
    assert_one_world(work, *run(slurm, work, path, *ACCELERATE, *options), "no")


CONFIG = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 9
num_processes: 9
mixed_precision: bf16
"""


@PROOF
def test_accelerate_with_a_config_file(slurm: SlurmCluster, work: Path) -> None:
    # Its numbers of machines and processes are not those of the job.
    (work / "ddp.yaml").write_text(CONFIG)
    launcher = "{kind: accelerate, options: {config_file: ddp.yaml}}"
    path = job(work, programs.ACCELERATE, launcher=launcher)
    assert_one_world(work, *run(slurm, work, path), "bf16")


def test_a_config_file_that_would_let_each_node_train_alone(
    slurm: SlurmCluster, work: Path
) -> None:
    # What `accelerate config` writes for CPUs.
    (work / "cpu.yaml").write_text(CONFIG.replace("MULTI_GPU", "MULTI_CPU"))
    path = job(work, "", launcher="{kind: accelerate, options: {config_file: cpu.yaml}}")
    job_id, state = run(slurm, work, path)
    assert state == "FAILED"
    assert "accelerate made a world of 1 on node1, not of 4" in log_of(work, job_id)


@PROOF
def test_accelerate_with_one_process(slurm: SlurmCluster, work: Path) -> None:
    sets = ("--set", "resources.nodes=1", "--set", "resources.processes_per_node=1")
    job_id, _ = run(slurm, work, job(work, programs.ACCELERATE), *ACCELERATE, *sets)
    log = log_of(work, job_id)
    assert "rank 0/1 local rank 0 in no: saw 32 rows, gathered [0], 1 set of weights" in log, log
    assert (run_directory(work, job_id) / "logs" / "node1.rank0.log").exists()


def assert_one_world(work: Path, job_id: str, state: str, precision: str) -> None:
    """Four ranks, each with a quarter of the data, and one set of weights."""
    log = log_of(work, job_id)
    assert state == "COMPLETED", log
    line = (
        rf"^\[rank\d\] rank (\d)/4 local rank (\d) in {precision}: "
        r"saw 8 rows, gathered \[0, 1, 2, 3\], 1 set of weights$"
    )
    found = re.findall(line, log, re.M)
    assert sorted(found) == [(rank, local) for rank, local, _ in EVERYWHERE], log
    logs = sorted(path.name for path in (run_directory(work, job_id) / "logs").iterdir())
    assert logs == [f"{node}.rank{rank}.log" for rank, _, node in EVERYWHERE]
