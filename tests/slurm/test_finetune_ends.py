"""How the fine-tuning job ends: cancelled it stays so, in every phase; finished it is COMPLETED."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.slurm.faults import Training
from tests.slurm.test_end_to_end import log_of, work
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]
pytestmark = pytest.mark.proof

RUNS = 30
QUIET = 20  # seconds in which a job that is to stay away does; a requeued one waits for about ten


def is_saving(training: Training) -> bool:
    """Tell whether a checkpoint is half written."""
    return any((training.run / "checkpoints").glob(".*/*"))


@pytest.mark.parametrize("phase", ["start", "step", "save", "signal", "requeued"])
def test_a_cancelled_job_stays_cancelled(slurm: SlurmCluster, work: Path, phase: str) -> None:
    slow = {"SLOW_DISK": 0.5} if phase == "save" else {}
    training = Training.start(slurm, work, restarts=1, PACE=1, **slow)
    if phase == "start":
        training.until_event("started")
    else:
        training.until_step(4)
    if phase == "save":
        poll(slurm, lambda: is_saving(training), "a save")
    elif phase in ("signal", "requeued"):
        slurm.run(["scancel", "--batch", "--signal=USR1", training.id])
        training.until_event("signalled" if phase == "signal" else "requeued")
    slurm.run(["scancel", training.id])
    cancelled = time.monotonic()
    training.until_state("CANCELLED")
    training.check_no_orphans(cancelled)
    started = training.events().count("started")
    time.sleep(QUIET)
    assert slurm.sacct(training.id)["job"]["State"] == "CANCELLED"
    assert training.events().count("started") == started == 1, training.events()
    assert ("requeued" in training.events()) == (phase == "requeued")


def test_every_run_that_finishes_is_completed(slurm: SlurmCluster, work: Path) -> None:
    options = ("--set", "entrypoint.config.training.max_steps=2")
    for number in range(RUNS):
        training = Training.start(slurm, work, *options)
        training.until_state("COMPLETED")
        assert [row["step"] for row in training.rows()] == [1, 2]
        assert "terminate" not in log_of(work, training.id), number
