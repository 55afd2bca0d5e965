"""`slurmkit submit` against a real Slurm: ids, exit codes, environments, outer jobs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.slurm.test_end_to_end import SLURMKIT, work
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

Ran = subprocess.CompletedProcess[str]


def write(work: Path, name: str, **settings: str) -> Path:
    """Write a job of one process that says what it got."""
    fields = {
        "name": name,
        "resources": "{cpus_per_node: 1, time: 5}",
        "launcher": "{kind: srun}",
        "entrypoint": "{command: [bash, -c, 'echo got ${KEY-nothing}; exit ${CODE:-0}']}",
        **settings,
    }
    path = work / f"{name}.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    return path


def submit(slurm: SlurmCluster, work: Path, *words: str | Path, **env: str) -> Ran:
    """Type `slurmkit submit …`."""
    given = {"XDG_STATE_HOME": str(work / "state"), "SLURMKIT_PROFILE": "none", **env}
    return slurm.run([SLURMKIT, "submit", *words], cwd=work, env=given, timeout=120)


def shown(slurm: SlurmCluster, job: str) -> str:
    return slurm.run(["scontrol", "--oneliner", "show", "job", job]).stdout


def test_the_id_alone_is_on_standard_output(slurm: SlurmCluster, work: Path) -> None:
    ran = submit(slurm, work, write(work, "alone"), "--follow", KEY="k")
    assert ran.returncode == 0, ran.stderr
    id = ran.stdout.removesuffix("\n")
    assert id.isdigit()
    assert f"job {id} (alone) is in the queue" in ran.stderr
    assert re.search(r"rank0 \| got k$", ran.stderr, re.M)
    assert f"job {id} (alone) is COMPLETED" in ran.stderr
    # Where it said that they would be.
    log, directory = (re.search(rf"{key}: +([^,\n]+)", ran.stderr) for key in ("log", "directory"))
    assert log is not None
    assert directory is not None
    assert "meet at" in (work / log[1]).read_text()
    assert (work / directory[1] / "script.sbatch").exists()
    assert submit(slurm, work, "alone.yaml", "--hold", "--json").returncode == 0
    lines = (work / "state" / "slurmkit" / "jobs.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [id, id, str(int(id) + 1)]


def test_a_job_that_fails_is_told_by_the_exit_code(slurm: SlurmCluster, work: Path) -> None:
    ran = submit(slurm, work, write(work, "fails"), "--wait", "--json", CODE="3")
    assert ran.returncode == 1
    told = json.loads(ran.stdout)
    assert (told["name"], told["via"]) == ("fails", "sbatch")
    assert Path(told["log"]) == work / f"slurmkit-{told['id']}.out"
    assert Path(told["directory"]) == work / "runs" / "fails" / told["id"]
    assert f"job {told['id']} (fails) is FAILED" in ran.stderr


def test_held_and_only_tested(slurm: SlurmCluster, work: Path) -> None:
    write(work, "held")
    held = submit(slurm, work, "held.yaml", "--hold").stdout.strip()
    assert "Reason=JobHeldUser" in shown(slurm, held)
    tested = submit(slurm, work, "held.yaml", "--test-only")
    assert tested.returncode == 0, tested.stderr
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\n", tested.stdout)
    assert "on nodes node" in tested.stderr
    queue = slurm.run(["squeue", "--noheader", "--format=%A"]).stdout.split()
    assert queue == [held]
    refused = submit(slurm, work, "held.yaml", "--test-only", "--set", "resources.nodes=9")
    assert refused.returncode == 2
    assert "resources.nodes: Slurm refuses it" in refused.stderr


def test_submitted_from_inside_a_job(slurm: SlurmCluster, work: Path) -> None:
    program = "'env | grep -E \"^(SLURM|SRUN|PET)_\"; echo launched; sleep 0.1'"
    write(
        work,
        "inner",
        resources="{nodes: 2, processes_per_node: 2, memory_per_node: 500M}",
        entrypoint=f"{{command: [bash, -c, {program}]}}",
    )
    state = f"XDG_STATE_HOME={work / 'state'}"
    line = f"{state} PET_OUTER=1 {SLURMKIT} submit --profile none inner.yaml --wait"
    # The job's settings contradict those of the job that is submitted from it.
    outer = ["salloc", "-N1", "-n3", "-c2", "--mem-per-cpu=200", "--gpus-per-node=1", "srun", "-n1"]
    ran = slurm.run([*outer, "bash", "-c", line], cwd=work, timeout=120)
    assert ran.returncode == 0, ran.stderr
    id = ran.stdout.strip()
    assert id.isdigit(), ran.stdout
    logs = "".join(path.read_text() for path in work.glob(f"runs/inner/{id}/logs/*"))
    assert logs.count("launched") == 4
    assert set(re.findall(r"^SLURM_NTASKS=(\d+)", logs, re.M)) == {"4"}
    assert set(re.findall(r"^SLURM_JOB_ID=(\d+)", logs, re.M)) == {id}
    assert not re.search(r"^(PET_OUTER|SLURM_MEM_PER_CPU|SLURM_CPUS_PER_TASK)", logs, re.M)
    assert "SLURM_JOB_GPUS" not in logs


def test_passed_variables_reach_a_job_whose_site_hands_nothing_on(
    slurm: SlurmCluster, work: Path
) -> None:
    program = "'echo got ${KEY-nothing} and ${OTHER-nothing}'"
    entrypoint = f"{{command: [bash, -c, {program}]}}"
    write(work, "keyed", environment="{pass: [KEY]}", entrypoint=entrypoint)
    site = {"SBATCH_EXPORT": "NONE", "KEY": "s3 cret", "OTHER": "mine"}
    id = submit(slurm, work, "keyed.yaml", "--wait", **site).stdout.strip()
    run = work / "runs" / "keyed" / id
    assert "got s3 cret and nothing" in (run / "logs" / "node1.rank0.log").read_text()
    assert "s3 cret" not in (run / "script.sbatch").read_text()


def test_large_scripts(slurm: SlurmCluster, work: Path) -> None:
    def sized(name: str, size: int) -> Path:
        text = f"{{module: m, config: {{data: {'x' * size}}}}}"
        return write(work, name, entrypoint=text)

    ran = submit(slurm, work, sized("large", 400_000), "--hold")  # more than an argument may have
    assert ran.returncode == 0, ran.stderr[-500:]
    ran = submit(slurm, work, sized("huge", 2_500_000).name)
    assert ran.returncode == 2
    assert "huge.yaml:4:" in ran.stderr
    assert "entrypoint.config: Slurm refuses it" in ran.stderr
