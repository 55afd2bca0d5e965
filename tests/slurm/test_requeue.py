"""Jobs that come back by themselves, and jobs that must not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm import programs
from tests.slurm.test_end_to_end import job, log_of, run_directory, submit, work
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]


def stoppable(work: Path, leave_with: int, tell: int, requeue: str = "{lead_time: 60}") -> Path:
    variables = f"{{variables: {{LEAVE_WITH: {leave_with}, TELL: {tell}}}}}"
    return job(work, programs.STOPPABLE, environment=variables, requeue=requeue)


def start(slurm: SlurmCluster, work: Path, path: Path) -> str:
    """Submit a job and wait until all four ranks are training."""
    job_id = submit(slurm, work, path, wait=False)
    slurm.wait(job_id, "RUNNING", timeout=60)
    poll(slurm, lambda: log_of(work, job_id).count("training") == 4, f"training in {job_id}")
    return job_id


def poll(slurm: SlurmCluster, holds: Callable[[], bool], what: str, timeout: float = 60) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        assert time.monotonic() < end, f"no {what}\n{slurm.logs()}"
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("leave_with", "tell"), [(0, 1), (3, 0)], ids=["says-stopped", "just-leaves"]
)
def test_signalled_before_the_time_limit_the_job_comes_back(
    slurm: SlurmCluster, work: Path, leave_with: int, tell: int
) -> None:
    job_id = start(slurm, work, stoppable(work, leave_with, tell))
    # What --signal=B:USR1@60 makes Slurm do.
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    poll(slurm, lambda: "requeued" in events(work, job_id), "requeue", timeout=90)
    poll(slurm, lambda: slurm.job_state(job_id) == "PENDING", "second place in the queue")
    slurm.run(["scontrol", "update", f"jobid={job_id}", "starttime=now"])
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, "second run")
    slurm.wait(job_id, "COMPLETED", timeout=60)
    assert log_of(work, job_id).count("saved on SIGUSR1") == 4


def test_left_with_zero_and_no_word_the_job_is_done(slurm: SlurmCluster, work: Path) -> None:
    job_id = start(slurm, work, stoppable(work, leave_with=0, tell=0))
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    slurm.wait(job_id, ("COMPLETED", "FAILED"), timeout=90)
    assert "requeued" not in events(work, job_id)


def test_a_cancelled_job_stays_cancelled(slurm: SlurmCluster, work: Path) -> None:
    job_id = start(slurm, work, stoppable(work, leave_with=3, tell=1))
    slurm.run(["scancel", job_id])
    slurm.wait(job_id, "CANCELLED", timeout=90)
    assert "requeued" not in events(work, job_id)


def test_the_user_can_ask_for_an_end(slurm: SlurmCluster, work: Path) -> None:
    job_id = start(slurm, work, stoppable(work, leave_with=3, tell=1))
    (run_directory(work, job_id) / "STOP").touch()
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    slurm.wait(job_id, ("COMPLETED", "FAILED"), timeout=90)
    assert "requeued" not in events(work, job_id)


def test_requeues_are_capped(slurm: SlurmCluster, work: Path) -> None:
    job_id = start(slurm, work, stoppable(work, 3, 1, requeue="{lead_time: 60, max_requeues: 0}"))
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    slurm.wait(job_id, ("COMPLETED", "FAILED"), timeout=90)
    assert "requeued" not in events(work, job_id)


def events(work: Path, job_id: str) -> str:
    return (run_directory(work, job_id) / "events" / "batch.jsonl").read_text()
