"""Which ends a job comes back from, by what its program says of itself, its events and its code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec
from slurmkit.train.stop import REASONS
from tests.render.test_signals import function

FUNCTIONS = ("terminated", "stopped", "should_requeue")


def comes_back(
    run: Path, when: list[str], state: str, reason: str | None, code: int = 0, heard: str = ""
) -> bool:
    """Ask the script of a job that has ended so, while squeue says that it runs."""
    (run / "events").mkdir(exist_ok=True)
    (run / "status.json").write_text(json.dumps({"state": state, "reason": reason}, indent=2))
    requeue = {"lead_time": 60, "when": when}
    base = {"name": "f", "entrypoint": {"module": "m"}, "requeue": requeue}
    text = render(JobSpec.model_validate(base))
    lines = [line for line in text.splitlines() if line.startswith(("stopped() {", "terminated"))]
    one_line = [line for line in lines if line.endswith("}")]
    bodies = [function(name, requeue=requeue) for name in FUNCTIONS if f"{name}() {{\n" in text]
    program = "\n".join(["squeue() { echo RUNNING; }", *one_line, *bodies, "should_requeue"])
    variables = {"SLURMKIT_RUN_DIR": str(run), "SLURMKIT_ATTEMPT": "0", "SLURM_JOB_NUM_NODES": "1"}
    variables |= {"code": str(code), "signalled": heard, "id": "7"}
    environment = {"PATH": os.environ["PATH"], **variables}
    ran = subprocess.run(["bash", "-c", program], env=environment, capture_output=True, check=False)
    assert not ran.stderr, ran.stderr
    return ran.returncode == 0


ALL = ["time_limit", "preemption", "node_failure"]


@pytest.mark.parametrize(
    ("when", "reason", "answer"),
    [
        *((ALL, reason, True) for reason in [*REASONS[2:], "my own", None]),
        (["preemption"], "time limit", False),
        (["preemption"], "SIGTERM", True),
        (["time_limit"], "time limit", True),
        (["time_limit"], "SIGTERM", False),
        (["node_failure"], "time limit", False),
        (["node_failure"], "SIGTERM", False),
        (["node_failure"], "SIGUSR1", True),  # which somebody sent by hand
        (["node_failure"], "my own", True),
    ],
)
def test_a_program_that_stopped_comes_back_from_the_ends_that_are_asked_for(
    tmp_path: Path, when: list[str], reason: str | None, answer: bool
) -> None:
    """Also by its own clock, before any signal of Slurm's; the agent ends with 0 or, at TERM, 1."""
    for code in (0, 1):
        assert comes_back(tmp_path, when, "stopped", reason, code) is answer


def test_a_users_wish_is_no_reason_to_come_back(tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    assert not comes_back(tmp_path, ALL, "stopped", "STOP file", heard="1")


def test_a_job_that_is_done_or_has_failed_stays(tmp_path: Path) -> None:
    assert not comes_back(tmp_path, ALL, "done", None, heard="1"), "done just before the limit"
    assert not comes_back(tmp_path, ALL, "failed", "RuntimeError", 1)
    assert comes_back(tmp_path, ALL, "failed", "it was killed while it saved", 1, heard="1")
