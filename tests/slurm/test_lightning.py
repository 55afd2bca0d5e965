"""Lightning under the srun launcher: the script is a user's own, and knows nothing of slurmkit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.slurm import programs
from tests.slurm.test_end_to_end import job, log_of, submit, work
from tests.slurm.test_requeue import events, poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

REQUEUES = """
import os, subprocess, time
if os.environ["RANK"] == "0":
    subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True)
time.sleep(600)
"""
BY_PROGRAM = "{by: program, lead_time: 60}"


def lightning(
    slurm: SlurmCluster,
    work: Path,
    size: tuple[int, float],
    *options: str,
    wait: bool = False,
    **settings: str,
) -> str:
    """Submit a training of so many steps, of which each takes so many seconds."""
    path = job(work, programs.LIGHTNING, launcher="{kind: srun}", **settings)
    args = json.dumps([f"--steps={size[0]}", f"--seconds={size[1]}"])
    return submit(slurm, work, path, "--set", f"entrypoint.args={args}", *options, wait=wait)


def started(work: Path, job_id: str) -> list[tuple[str, str, int]]:
    """Return rank, local rank and first step of each start of the training."""
    line = r"^\[rank\d\] training: rank (\d)/4 local rank (\d) from step (\d+)$"
    found = re.findall(line, log_of(work, job_id), re.M)
    return sorted((rank, local, int(step)) for rank, local, step in found)


def fresh(starts: list[tuple[str, str, int]]) -> bool:
    return starts == [(str(rank), str(rank % 2), 0) for rank in range(4)]


def test_it_saves_and_requeues_itself(slurm: SlurmCluster, work: Path) -> None:
    job_id = lightning(slurm, work, (4, 2), requeue=BY_PROGRAM)
    # Amid the pause of a step: a rank in a collective would wait for one that is saving already.
    poll(slurm, lambda: log_of(work, job_id).count("] step 1\n") == 4, "second step", timeout=180)
    assert fresh(started(work, job_id)), log_of(work, job_id)
    # What --signal=USR1@60 makes Slurm do: to the steps, not to the batch shell.
    slurm.run(["scancel", "--signal=USR1", job_id])
    poll(slurm, lambda: len(started(work, job_id)) == 8, "second run", timeout=150)
    slurm.wait(job_id, "COMPLETED", timeout=60)
    log = log_of(work, job_id)
    assert (work / "hpc_ckpt_1.ckpt").exists(), log
    assert {step for _, _, step in started(work, job_id)} == {0, 1}, "it goes on where it was"
    assert log.count("ended at step 4") == 4, log
    assert events(work, job_id).count("started") == 2


@pytest.mark.proof
def test_its_requeues_are_capped(slurm: SlurmCluster, work: Path) -> None:
    # Any program that calls `scontrol requeue`, as Lightning does; it would do so for ever.
    requeue = "{by: program, max_requeues: 0}"
    path = job(work, REQUEUES, launcher="{kind: srun}", requeue=requeue)
    job_id = submit(slurm, work, path, wait=False)
    slurm.wait(job_id, "FAILED", timeout=120)
    assert "requeued 1 times; requeue.max_requeues is 0" in log_of(work, job_id)
    assert events(work, job_id).count("started") == 1


@pytest.mark.proof
def test_in_a_job_of_a_name_that_makes_it_look_away(slurm: SlurmCluster, work: Path) -> None:
    job_id = lightning(slurm, work, (5, 0), "--set", "name=interactive", wait=True)
    assert fresh(started(work, job_id)), log_of(work, job_id)
    assert log_of(work, job_id).count("ended at step 5") == 4


@pytest.mark.proof
def test_the_real_time_limit(slurm: SlurmCluster, work: Path) -> None:
    limit = ("--set", "resources.time=2")
    job_id = lightning(slurm, work, (18, 5), *limit, requeue=BY_PROGRAM)
    poll(slurm, lambda: len(started(work, job_id)) == 8, "second run", timeout=300)
    # Else the second run's own signal may come after the training, when it is a program's death.
    slurm.run(["scontrol", "update", f"JobId={job_id}", "TimeLimit=10"], check=True)
    slurm.wait(job_id, "COMPLETED", timeout=120)
    assert log_of(work, job_id).count("ended at step 18") == 4


@pytest.mark.proof
def test_preempted_it_leaves_and_slurm_takes_it_for_done(slurm: SlurmCluster, work: Path) -> None:
    # Why docs/launchers.md sends jobs of such partitions to requeue.by: script.
    partition = ("--set", "resources.partition=preemptible")
    job_id = lightning(slurm, work, (40, 1), *partition, requeue=BY_PROGRAM)
    poll(slurm, lambda: log_of(work, job_id).count("] step 1\n") == 4, "second step", timeout=180)
    slurm.submit("#!/bin/bash\nsleep 5\n", "--partition=main", "--nodes=2", "--exclusive")
    # FAILED where one of gloo's threads aborts its process at the very end.
    slurm.wait(job_id, ("COMPLETED", "FAILED"), timeout=60)
    assert len(started(work, job_id)) == 4, "no second run"
    assert "] step 39" not in log_of(work, job_id)
