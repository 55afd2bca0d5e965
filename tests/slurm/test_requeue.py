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


def start(slurm: SlurmCluster, work: Path, path: Path, *options: str) -> str:
    """Submit a job and wait until all four ranks are training."""
    job_id = submit(slurm, work, path, *options, wait=False)
    poll(slurm, lambda: log_of(work, job_id).count("training") == 4, f"training in {job_id}")
    return job_id


def poll(slurm: SlurmCluster, holds: Callable[[], bool], what: str, timeout: float = 60) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            if holds():
                return
        except (OSError, ValueError):  # no log, no run directory yet
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
    second = "second run"
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, second, timeout=150)
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


def test_a_cancelled_job_whose_script_survives_stays_cancelled(
    slurm: SlurmCluster, work: Path
) -> None:
    # The script lives on behind the TERM of scancel, and a requeue would succeed.
    path = stoppable(work, leave_with=3, tell=1)
    options = ("--set", "environment.setup=[\"trap '' TERM\"]")
    job_id = start(slurm, work, path, *options)
    slurm.run(["scancel", job_id])
    poll(slurm, lambda: "ended" in events(work, job_id), "end of the step")
    slurm.wait(job_id, "CANCELLED", timeout=90)
    assert "requeued" not in events(work, job_id)


def test_what_an_outer_job_hands_on_is_not_believed(slurm: SlurmCluster, work: Path) -> None:
    outer = {
        "SLURM_RESTART_COUNT": "9",
        "SLURM_ARRAY_JOB_ID": "1",
        "SLURM_ARRAY_TASK_ID": "1",
        "SQUEUE_STATES": "PD",
        "SLURM_TIME_FORMAT": "relative",
    }
    path = stoppable(work, 3, 0, requeue="{lead_time: 60, max_requeues: 1}")
    job_id = submit(slurm, work, path, wait=False, env=outer)
    poll(slurm, lambda: log_of(work, job_id).count("training") == 4, "training")
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, "second run", timeout=150)


def test_workers_are_told_under_export_none(slurm: SlurmCluster, work: Path) -> None:
    path = stoppable(work, leave_with=3, tell=1)
    options = ("--set", "sbatch.export=NONE", "--set", "resources.gpus_per_node=2")
    job_id = start(slurm, work, path, *options)
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    poll(slurm, lambda: log_of(work, job_id).count("saved on SIGUSR1") == 4, "save")
    poll(slurm, lambda: "requeued" in events(work, job_id), "requeue")
    assert "execve" not in log_of(work, job_id)


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


@pytest.mark.proof
def test_the_real_time_limit(slurm: SlurmCluster, work: Path) -> None:
    path = stoppable(work, leave_with=3, tell=0)
    job_id = submit(slurm, work, path, "--set", "resources.time=2", wait=False)
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, "second run", timeout=400)
    slurm.wait(job_id, "COMPLETED", timeout=60)
    assert "signalled" in events(work, job_id)


@pytest.mark.proof
def test_a_program_that_ignores_the_signal_is_stopped_in_time(
    slurm: SlurmCluster, work: Path
) -> None:
    program = programs.STOPPABLE.replace("signal.signal(signal.SIGUSR1, leave)\n", "")
    variables = "{variables: {LEAVE_WITH: 0, TELL: 0}}"
    path = job(work, program + "\n", environment=variables, requeue="{lead_time: 60}")
    job_id = submit(slurm, work, path, "--set", "resources.time=2", wait=False)
    poll(slurm, lambda: "requeued" in events(work, job_id), "requeue", timeout=300)
    assert '"code": 124' in events(work, job_id), "ended by the script, before Slurm did"
    slurm.run(["scancel", job_id])


@pytest.mark.proof
@pytest.mark.parametrize(
    ("leave_with", "tell"), [(0, 1), (3, 0)], ids=["says-stopped", "just-leaves"]
)
def test_a_preempted_job_comes_back(
    slurm: SlurmCluster, work: Path, leave_with: int, tell: int
) -> None:
    path = stoppable(work, leave_with, tell)
    job_id = submit(slurm, work, path, "--set", "resources.partition=preemptible", wait=False)
    poll(slurm, lambda: log_of(work, job_id).count("training") == 4, "training")
    urgent = slurm.submit("#!/bin/bash\nsleep 5\n", "--partition=main", "--nodes=2", "--exclusive")
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, "second run", timeout=300)
    slurm.wait(job_id, "COMPLETED", timeout=60)
    assert slurm.sacct(urgent)["job"]["State"] == "COMPLETED"
    assert "SIGTERM" in log_of(work, job_id)


@pytest.mark.proof
def test_a_crash_is_no_preemption(slurm: SlurmCluster, work: Path) -> None:
    variables = "{variables: {CRASH_IN: 0}}"
    path = job(work, programs.CRASH, environment=variables, requeue="{lead_time: 60}")
    job_id = submit(slurm, work, path)
    assert slurm.sacct(job_id)["job"]["State"] == "FAILED"
    assert "requeued" not in events(work, job_id)
