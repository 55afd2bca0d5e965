"""The fine-tuning job, struck in every way that a cluster has: it ends with the same loss curve.

Each fault strikes a job of two nodes and four ranks. What must hold afterwards is the same for all:
the losses are those of a run that nobody disturbed, step by step; every step is logged once and no
line of a rank is lost; Slurm calls the job COMPLETED; and a minute later none of its processes is
left on any node.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from slurmkit.launch.rundir import RunDirectory
from slurmkit.observe.lost import lost
from tests.slurm.faults import STEPS, Training, kill_node, losses, resume_node, revive_node
from tests.slurm.test_end_to_end import work
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]
pytestmark = pytest.mark.proof

Curve = list[tuple[float, float]]


@pytest.fixture(scope="module")
def undisturbed(slurm: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Curve:
    """Return the losses of a run that nobody disturbs."""
    training = Training.start(slurm, tmp_path_factory.mktemp("undisturbed"))
    training.until_state("COMPLETED")
    curve = losses(training.rows())
    assert [step for step, _ in curve] == list(range(1, STEPS + 1))
    return curve


def check(training: Training, undisturbed: Curve, attempts: int = 2, most: int = 0) -> None:
    """Wait for the end, and hold the job to what must be true of it."""
    training.until_state("COMPLETED", timeout=400)
    ended = time.monotonic()
    assert losses(training.rows()) == undisturbed
    assert attempts <= training.events().count("started") <= max(attempts, most)
    cost = lost(RunDirectory(training.run))
    assert cost is not None
    assert cost.interruptions >= 1
    print(f"lost: {cost}")
    training.check_logs()
    training.check_no_orphans(ended)


def test_the_time_limit_reached_twice(slurm: SlurmCluster, work: Path, undisturbed: Curve) -> None:
    training = Training.start(slurm, work, "--set", "resources.time=3", PACE=10)
    training.until_state("COMPLETED", timeout=1500)
    attempts = training.events().count("started")
    assert attempts >= 3
    check(training, undisturbed, attempts)


def test_a_signal_to_the_job(slurm: SlurmCluster, work: Path, undisturbed: Curve) -> None:
    training = Training.start(slurm, work, PACE=1)
    training.until_step(7)
    slurm.run(["scancel", "--batch", "--signal=USR1", training.id])
    check(training, undisturbed)
    assert "signalled" in training.events()


def test_preemption(slurm: SlurmCluster, work: Path, undisturbed: Curve) -> None:
    training = Training.start(slurm, work, "--set", "resources.partition=preemptible", PACE=1)
    training.until_step(7)
    urgent = slurm.submit("#!/bin/bash\nsleep 5\n", "--partition=main", "--nodes=2", "--exclusive")
    check(training, undisturbed)
    assert slurm.sacct(urgent)["job"]["State"] == "COMPLETED"


@pytest.mark.parametrize("rank", [0, 3])
def test_a_killed_rank(slurm: SlurmCluster, work: Path, undisturbed: Curve, rank: int) -> None:
    training = Training.start(slurm, work, restarts=1, PACE=1)
    training.until_step(7)
    os.kill(training.rank_pid(rank), signal.SIGKILL)
    check(training, undisturbed)
    assert "requeued" not in training.events()


def test_a_rank_that_crashes_at_step_7(slurm: SlurmCluster, work: Path, undisturbed: Curve) -> None:
    training = Training.start(slurm, work, restarts=1, CRASH_AT=7)
    check(training, undisturbed)
    assert "requeued" not in training.events()


@pytest.mark.parametrize("node", ["node1", "node2"])
def test_a_killed_node(slurm: SlurmCluster, work: Path, undisturbed: Curve, node: str) -> None:
    training = Training.start(slurm, work, PACE=1)
    training.until_step(7)
    kill_node(slurm, node)
    poll(slurm, lambda: slurm.job_state(training.id) == "PENDING", "requeue", timeout=150)
    revive_node(slurm, node)
    resume_node(slurm, node)
    # What Slurm could not tell the dead node it tells the new slurmd: to end step 0, which now is
    # that of the second attempt. It saves, and comes back once more.
    check(training, undisturbed, most=3)


@pytest.mark.parametrize("node", ["node1", "node2"])
def test_a_node_that_is_cut_off_and_comes_back(
    slurm: SlurmCluster, work: Path, undisturbed: Curve, node: str
) -> None:
    training = Training.start(slurm, work, PACE=1)
    training.until_step(7)
    old = training.pids()
    slurm.cut(node)
    poll(slurm, lambda: slurm.job_state(training.id) == "PENDING", "requeue", timeout=150)
    slurm.restore(node)
    back = time.monotonic()
    resume_node(slurm, node)
    while left := set(old) & set(training.pids()):
        assert time.monotonic() < back + 60, f"{len(left)} processes of the run before are left"
        time.sleep(1)
    check(training, undisturbed)
