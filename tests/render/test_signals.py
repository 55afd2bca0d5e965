"""Signals that reach every process of a step, and what must outlive them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec
from tests.render.test_arrival import Machine

# Stands for torchrun: an agent that has no handler and waits for its worker.
AGENT = """#!/bin/bash
RANK=0 bash -c slurmkit_worker &
wait
"""
PROGRAM = """
import signal, sys, time
def leave(number, frame):
    time.sleep(0.5)
    print("last words", flush=True)
    sys.exit(0)
signal.signal(signal.{name}, leave)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    (machine.bin / "python3").write_text(AGENT)
    return machine


def signalled(machine: Machine, job: dict[str, Any], name: str) -> tuple[str, list[dict[str, Any]]]:
    """Run a job, send it a signal as a whole once it is ready; return its log and events."""
    program = PROGRAM.replace("{name}", name)
    job = {
        "name": "signals",
        "environment": {"python": str(machine.bin / "python3")},
        "entrypoint": {"command": [sys.executable, "-c", program]},
        **job,
    }
    process = subprocess.Popen(
        ["bash", "-c", render(JobSpec.model_validate(job))],
        cwd=machine.work,
        env=machine.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: "ready" in machine.file("logs/n0.rank0.log"))
        os.killpg(process.pid, getattr(signal, name))
        process.wait(timeout=20)
        time.sleep(1)
        events = machine.file("events/batch.jsonl").splitlines()
        return machine.file("logs/n0.rank0.log"), [json.loads(line) for line in events]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(holds: Any) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(OSError, ValueError):
            if holds():
                return
        time.sleep(0.05)
    raise AssertionError("the program never got ready")


def test_the_last_words_of_a_terminated_program_reach_its_log(machine: Machine) -> None:
    log, _ = signalled(machine, {}, "SIGTERM")
    assert log.splitlines() == ["ready", "last words"]


def test_the_agent_outlives_usr1_and_the_worker_hears_it(machine: Machine) -> None:
    log, events = signalled(machine, {"requeue": {"lead_time": 60}}, "SIGUSR1")
    assert log.splitlines() == ["ready", "last words"]
    assert events[-1]["event"] == "ended"
    assert events[-1]["code"] == 0
