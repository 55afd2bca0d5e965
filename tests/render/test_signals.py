"""Signals that reach every process of a step, and what must outlive them."""

from __future__ import annotations

import json
import os
import re
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
from tests.simulate.simulation import processes_of

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


FUNCTION = re.compile(r"^(\w+)\(\) \{\n.*?^\}\n", re.M | re.S)


def function(name: str, **job: Any) -> str:
    """Return a function of the script of a job that requeues itself."""
    base = {"name": "f", "entrypoint": {"module": "m"}, "requeue": {"lead_time": 60}}
    text = render(JobSpec.model_validate({**base, **job}))
    return next(found[0] for found in FUNCTION.finditer(text) if found[1] == name)


@pytest.mark.parametrize("kind", ["srun", "torchrun"])
def test_where_no_process_is_known_the_signal_takes_the_other_way(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "events").mkdir()
    code = function("slurmkit_signal", launcher={"kind": kind}) + "slurmkit_signal"
    environment = {"SLURMKIT_RUN_DIR": str(tmp_path), "SLURMKIT_ATTEMPT": "0", "SLURM_NODEID": "0"}
    ran = subprocess.run(
        ["bash", "-c", code], check=False, capture_output=True, env={**os.environ, **environment}
    )
    assert ran.returncode != 0, "the script then signals the whole step"


@pytest.mark.parametrize(("moved", "ended"), [("now + 1 hour", ""), ("N/A", "1")])
def test_a_time_limit_that_was_moved_counts(tmp_path: Path, moved: str, ended: str) -> None:
    code = f"""
    event() {{ :; }}
    timeout() {{ shift; "$@"; }}
    srun() {{ :; }}
    squeue() {{ if [[ $1 == -h ]]; then date -d '{moved}' 2> /dev/null || echo '{moved}'; fi; }}
    signalled='' out_of_time='' watch='' step=$$ SLURM_JOB_ID=7
    SLURM_JOB_NUM_NODES=1 SLURMKIT_END_TIME=$(($(date +%s) - 60))
    trap 'out_of_time=1' USR2
    {function("on_signal")}
    on_signal
    for ((i = 0; i < 25; i++)); do sleep 0.1; done
    kill "$watch"
    echo "out of time: $out_of_time"
    """
    ran = subprocess.run(["bash", "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == f"out of time: {ended}\n", ran.stderr


def test_what_watches_the_time_limit_does_not_outlive_the_job(tmp_path: Path) -> None:
    code = f"""
    event() {{ :; }}
    timeout() {{ shift; "$@"; }}
    srun() {{ :; }}
    squeue() {{ date -d 'now + 1 hour'; }}
    signalled='' watch='' step=$$ SLURM_JOB_NUM_NODES=1 SLURMKIT_END_TIME=''
    {function("on_signal")}
    on_signal
    sleep 0.5
    kill "$watch"
    """
    environment = {**os.environ, "MARK": str(tmp_path)}
    subprocess.run(["bash", "-c", code], check=True, env=environment)
    time.sleep(1.5)
    assert not processes_of(tmp_path)


def run_worker(directory: Path, rank: int, command: list[str], **job: Any) -> None:
    """Run what the script runs in each process, without the script around it."""
    spec = {"name": "worker", "entrypoint": {"command": command}, **job}
    text = render(JobSpec.model_validate(spec))
    worker = text[text.index("slurmkit_worker() {") : text.index("export -f slurmkit_node")]
    (directory / "logs").mkdir(exist_ok=True)
    variables = {"SLURMKIT_RUN_DIR": str(directory), "SLURMD_NODENAME": "node1"}
    subprocess.run(
        ["bash", "-c", f"{worker}slurmkit_worker"],
        env={**os.environ, **variables, "RANK": str(rank)},
        stdout=subprocess.PIPE,  # waits until tee and sed are done, too
        check=False,
        start_new_session=True,
    )


def test_a_rank_that_fails_at_once_has_its_words_in_its_log(tmp_path: Path) -> None:
    """The end of its step reaches tee in the same moment, before tee has begun."""
    for rank in range(12):
        run_worker(tmp_path, rank, ["bash", "-c", "echo no such file; kill -TERM 0"])
    logs = [path.read_text() for path in tmp_path.glob("logs/node1.rank*.log")]
    assert logs == ["no such file\n"] * 12


def test_after_half_a_line_the_next_run_begins_a_new_one(tmp_path: Path) -> None:
    for text in ("half a", "whole\n", "last\n"):
        run_worker(tmp_path, 0, ["printf", text], requeue={})
    log = tmp_path / "logs" / "node1.rank0.log"
    assert log.read_text() == "half a\nwhole\nlast\n"
