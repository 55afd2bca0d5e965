"""Our scripts in trouble, on a real Slurm and in a simulation: the same events and states."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulate import simulation
from tests.slurm import programs
from tests.slurm.test_end_to_end import SLURMKIT, job, log_of, run_directory, submit, work
from tests.slurm.test_requeue import poll, stoppable
from tests.slurm.test_same_as_slurm import ended
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

TRAINING = 20  # seconds after which the ranks of a simulation surely train
PATIENT = """
import os, time
print("training", flush=True)
time.sleep(600 if os.environ["SLURMKIT_ATTEMPT"] == "0" else 0)
"""
Story = tuple[str, list[dict[str, Any]]]


def pretended(work: Path, path: Path, *options: str, **trouble: Any) -> Story:
    """Run the script that would be rendered in a simulation."""
    render = [str(SLURMKIT), "render", str(path), "--profile", "none", *options]
    rendered = subprocess.run(render, cwd=work, capture_output=True, text=True, check=True)
    body = rendered.stdout.removeprefix("#!/bin/bash\n")
    done = simulation.Running(work, body, directives="", trouble=trouble).wait(seconds=200)
    return done.outcome["state"], events(Path(done.outcome["directory"]))


def really(
    slurm: SlurmCluster,
    work: Path,
    path: Path,
    *options: str,
    trouble: Callable[[str], object] | None = None,
) -> Story:
    """Run it on the test bed; bring trouble when all ranks are training."""
    job_id = submit(slurm, work, path, *options, wait=False)
    if trouble:
        poll(slurm, lambda: log_of(work, job_id).count("training") == 4, f"training in {job_id}")
        trouble(job_id)
    return ended(slurm, job_id, timeout=400)[0], events(run_directory(work, job_id))


def events(run: Path) -> list[dict[str, Any]]:
    lines = (run / "events" / "batch.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key != "time"} for line in lines
    ]


def without_chance(story: Story) -> Story:
    """Leave out what chance decides: who is ended first, the agents or srun, gives srun's code."""
    state, told = story
    codes = [event["code"] for event in told if event["event"] == "ended"]
    assert codes[0] in (1, 143, 255)
    return state, [{k: v for k, v in event.items() if k != "code"} for event in told]


def test_a_crash_and_the_restart_after_it(slurm: SlurmCluster, work: Path) -> None:
    variables = "{variables: {CRASH_IN: '0'}}"
    path = job(work, programs.CRASH, environment=variables, launcher="{restarts: 1}")
    real = really(slurm, work, path)
    assert pretended(work, path) == real
    assert [event["event"] for event in real[1]] == ["started", "ended"] * 2


def test_a_crash(slurm: SlurmCluster, work: Path) -> None:
    path = job(work, programs.CRASH, environment="{variables: {CRASH_IN: '0'}}")
    real = really(slurm, work, path)
    assert pretended(work, path) == real
    assert (real[0], len(real[1])) == ("FAILED", 2)


@pytest.mark.proof
def test_the_signal_before_the_time_limit(slurm: SlurmCluster, work: Path) -> None:
    path = stoppable(work, leave_with=3, tell=1)

    def signal(job_id: str) -> None:
        slurm.run(["scancel", "--batch", "--signal=USR1", job_id])

    real = really(slurm, work, path, trouble=signal)
    pretend = pretended(work, path, signal=f"USR1@{TRAINING}")
    assert without_chance(pretend) == without_chance(real)
    assert [event["event"] for event in real[1]] == [
        *("started", "signalled", "ended", "requeued", "started", "ended")
    ]


def test_a_cancelled_job(slurm: SlurmCluster, work: Path) -> None:
    path = stoppable(work, leave_with=3, tell=1)
    real = really(slurm, work, path, trouble=lambda job_id: slurm.run(["scancel", job_id]))
    assert real[0] == "CANCELLED"
    assert pretended(work, path, cancel=TRAINING) == real


@pytest.mark.proof
def test_a_preempted_job(slurm: SlurmCluster, work: Path) -> None:
    path = stoppable(work, leave_with=3, tell=1)
    options = ("--set", "resources.partition=preemptible")

    def preempt(_: str) -> None:
        slurm.submit("#!/bin/bash\nsleep 5\n", "--partition=main", "--nodes=2", "--exclusive")

    real = really(slurm, work, path, *options, trouble=preempt)
    pretend = pretended(work, path, *options, preempt=TRAINING, grace=10)
    assert without_chance(pretend) == without_chance(real)
    assert "requeued" in [event["event"] for event in real[1]]


@pytest.mark.proof
@pytest.mark.parametrize("node", [1, 2])
def test_a_dead_node(slurm: SlurmCluster, work: Path, node: int) -> None:
    """Slurm notices after SlurmdTimeout, ends the job, and runs it again when the node is back."""
    path = job(work, PATIENT, requeue="{lead_time: 60}")

    def cut(job_id: str) -> None:
        slurm.cut(f"node{node}")
        poll(slurm, lambda: slurm.job_state(job_id) == "PENDING", "requeue", timeout=150)
        slurm.restore(f"node{node}")
        slurm.run(["scontrol", "update", f"nodename=node{node}", "state=resume"], check=True)

    state, told = really(slurm, work, path, trouble=cut)
    pretend_state, pretend_told = pretended(work, path, kill=[f"node{node - 1}@{TRAINING}"])
    assert pretend_state == state == "COMPLETED"
    # What a script that is being killed still writes is a matter of chance.
    starts = [event for event in told if event["event"] == "started"]
    assert [event for event in pretend_told if event["event"] == "started"] == starts
    assert [event["attempt"] for event in starts] == [0, 1]
