"""Jobs by submitit on a real Slurm: main(config) in-process, and what comes back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.slurm.test_end_to_end import log_of, run_directory, work
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

# What a user types in Python; `Job` is picked up again by id, as in a kernel that was restarted.
SUBMIT = """
import json, sys, slurmkit
job = slurmkit.load("job.yaml", profile="none", overrides=sys.argv[1:]).submit(via="submitit")
print(job.id)
"""
COLLECT = """
import json, sys, slurmkit
job = slurmkit.Job.from_id(sys.argv[1])
try:
    print(json.dumps([str(job.wait(100, show=False)), job.result(), job.results()]))
except slurmkit.JobFailedError as error:
    print(json.dumps([str(job.state()), str(error), job.remote_traceback()]))
"""

SHOWS = """
import os, sys
NAMES = ["RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "OMP_NUM_THREADS"]
def main(config):
    rank = int(os.environ["RANK"])
    if rank == config.get("fails_on"):
        raise ValueError("no such expert")
    found = {name: os.environ[name] for name in NAMES}
    return {"rank": rank, "config": config, "arguments": sys.argv[1:], "variables": found,
            "port": int(os.environ["MASTER_PORT"]), "greeting": os.environ["GREETING"]}
"""
JOB = """
name: in process
resources: {nodes: 2, processes_per_node: 2, cpus_per_node: 4, time: 5}
sbatch: {comment: "it's me"}
environment: {variables: {GREETING: "it's $HOME"}, setup: [export SETUP=done]}
entrypoint:
  module: shows
  args: ["two words", "${env:SETUP}"]
  config: {rate: 1e-4, "on": "${env:SETUP}"}
"""

POLLS = """
import os, pathlib, time
from slurmkit.train import stop
from slurmkit.train.rundir import recorded_status
def main(config):
    rank = int(os.environ["RANK"])
    saved = pathlib.Path(os.environ["SLURMKIT_RUN_DIR"], f"saved-{rank}")
    if saved.exists():
        return {"run": 1 + int(os.environ["SLURMKIT_ATTEMPT"]), "rank": rank}
    with recorded_status(rank) as status:
        while not stop.requested():
            print("training", flush=True)
            time.sleep(0.2)
        saved.touch()
        time.sleep(0.5)
        status.state = "stopped"
    return {"run": 1, "rank": rank}
"""
COMES_BACK = """
name: comes back
resources: {nodes: 2, processes_per_node: 2, cpus_per_node: 2, time: 5}
launcher: {kind: srun}
entrypoint: {module: polls}
requeue: {lead_time: 60}
"""


def python(slurm: SlurmCluster, work: Path, program: str, *arguments: str) -> str:
    state = {"XDG_STATE_HOME": str(work / "state")}
    command = [sys.executable, "-c", program, *arguments]
    ran = slurm.run(command, cwd=work, env=state, timeout=150)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def collect(slurm: SlurmCluster, work: Path, id: str) -> list[Any]:
    collected: list[Any] = json.loads(python(slurm, work, COLLECT, id))
    return collected


def test_main_is_called_on_every_task_and_what_it_returns_comes_back(
    slurm: SlurmCluster, work: Path
) -> None:
    (work / "shows.py").write_text(SHOWS)
    (work / "job.yaml").write_text(JOB)
    id = python(slurm, work, SUBMIT)
    state, result, results = collect(slurm, work, id)
    assert state == "COMPLETED"
    assert [each["rank"] for each in results] == [0, 1, 2, 3]
    assert result == results[0]
    assert result["config"] == {"rate": 1e-4, "on": "done"}
    config = str(run_directory(work, id) / "config.yaml")
    assert result["arguments"] == ["two words", "done", "--config", config]
    assert result["greeting"] == "it's $HOME"
    assert 15000 <= result["port"] < 32768
    assert results[3]["variables"] == {
        **{"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"},
        **{"MASTER_ADDR": "node1", "OMP_NUM_THREADS": "2"},
    }
    run = run_directory(work, id)
    assert {path.name for path in (run / "logs").iterdir()} == {
        f"node{rank // 2 + 1}.rank{rank}.log" for rank in range(4)
    }
    assert "module: shows" in (run / "job.yaml").read_text(), "the user's job, not ours"
    assert not list((work / "runs" / "in-process").glob(".*")), "nothing is left lying about"


def test_an_exception_comes_back_with_its_traceback(slurm: SlurmCluster, work: Path) -> None:
    (work / "shows.py").write_text(SHOWS)
    (work / "job.yaml").write_text(JOB)
    id = python(slurm, work, SUBMIT, "entrypoint.config.fails_on=2")
    state, text, traceback = collect(slurm, work, id)
    assert state == "FAILED"
    assert traceback.startswith("rank 2 raised:\nTraceback (most recent call last):")
    assert traceback.endswith('raise ValueError("no such expert")\nValueError: no such expert'), (
        traceback
    )
    assert "no such expert" in text
    assert f"slurmkit logs {id}" in text


def test_told_to_stop_a_job_comes_back_and_a_cancelled_one_does_not(
    slurm: SlurmCluster, work: Path
) -> None:
    # All at once: a requeued job waits for its second run.
    (work / "polls.py").write_text(POLLS)
    (work / "job.yaml").write_text(COMES_BACK)
    by_script = python(slurm, work, SUBMIT)
    by_program = python(slurm, work, SUBMIT, "requeue.by=program")
    cancelled = python(slurm, work, SUBMIT, "requeue.by=program", "name=cancelled")
    for id in (by_script, by_program, cancelled):
        poll(slurm, lambda id=id: ranks_that_train(work, id) == 4, f"training in {id}")  # type: ignore[misc]
    # What --signal=B:USR1@60 makes Slurm do, and --signal=USR1@60.
    slurm.run(["scancel", "--batch", "--signal=USR1", by_script], check=True)
    slurm.run(["scancel", "--signal=USR1", by_program], check=True)
    slurm.run(["scancel", cancelled], check=True)
    for id in (by_script, by_program):
        state, result, results = collect(slurm, work, id)
        assert state == "COMPLETED", log_of(work, id)
        assert result == {"run": 2, "rank": 0}
        assert results == [{"run": 2, "rank": rank} for rank in range(4)], "not of the first run"
    # Submitit's own "Requeued job" is not always written before Slurm ends it.
    assert "requeued" in batch_events(work, by_script)
    assert "requeued" not in batch_events(work, by_program), "by submitit"
    assert collect(slurm, work, cancelled)[0] == "CANCELLED"
    assert len(list(run_directory(work, cancelled).glob("saved-*"))) == 4, "told by TERM"


def batch_events(work: Path, id: str) -> set[str]:
    lines = (run_directory(work, id) / "events" / "batch.jsonl").read_text().splitlines()
    return {json.loads(line)["event"] for line in lines}


def ranks_that_train(work: Path, id: str) -> int:
    logs = (run_directory(work, id) / "logs").iterdir()
    return sum("training" in path.read_text() for path in logs)
