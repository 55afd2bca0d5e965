"""jobs/train_resumable.py, a user's own script: told to stop, it goes on to the same end."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.slurm.test_end_to_end import log_of, run_directory, submit, work
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

JOBS = Path(__file__).parents[2] / "jobs"
STEPS = 30


def start(slurm: SlurmCluster, work: Path, seconds: float) -> str:
    shutil.copytree(JOBS, work / "jobs", dirs_exist_ok=True)
    arguments = f"entrypoint.args=[--steps, {STEPS}, --seconds, {seconds}]"
    job = work / "jobs" / "resumable.yaml"
    return submit(slurm, work, job, "--set", arguments, wait=False)


def losses(work: Path, job_id: str) -> list[tuple[str, str]]:
    log = (run_directory(work, job_id) / "logs" / "node1.rank0.log").read_text()
    return re.findall(r"^step (\d+) loss (\S+)$", log, re.M)


@pytest.mark.proof
def test_told_to_stop_it_goes_on_where_it_was(slurm: SlurmCluster, work: Path) -> None:
    job_id = start(slurm, work, seconds=0.5)
    poll(slurm, lambda: len(losses(work, job_id)) > 12, "step 12", timeout=120)
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    slurm.wait(job_id, "PENDING", timeout=90)
    told = json.loads((run_directory(work, job_id) / "status.json").read_text())
    assert told == {"state": "stopped", "reason": "SIGUSR1", "step": None}
    slurm.wait(job_id, "COMPLETED", timeout=200)
    undisturbed = start(slurm, work, seconds=0)
    slurm.wait(undisturbed, "COMPLETED", timeout=120)
    assert losses(work, job_id) == losses(work, undisturbed), log_of(work, job_id)
    assert [int(step) for step, _ in losses(work, job_id)] == list(range(STEPS))
