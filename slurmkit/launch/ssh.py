"""Jobs on hosts by SSH, in the background: `slurmkit launch` in a process of its own.

The run directory tells how the job is: `events/launch.jsonl`, and a lock that its launcher holds
for as long as it lives.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.launch.registry import Entry, UnknownJobError
from slurmkit.launch.rundir import RunDirectory, read_json_lines
from slurmkit.slurm.states import State, read_state

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


def submit(spec: JobSpec) -> Entry:
    """Launch a job on the hosts that it names, in the background, from the present directory.

    What it prints goes to `slurmkit-ID.out`.

    Raises:
        SpecError: the job names no hosts, or cannot be run on them.
    """
    from slurmkit.launch.hosts import choose_hosts, on_hosts
    from slurmkit.launch.ssh_job import hold, make_plan, prepare
    from slurmkit.render.hosts import refuse_unsupported

    hosts = choose_hosts(spec)
    spec = on_hosts(spec, hosts)
    refuse_unsupported(spec)
    plan = make_plan(spec, hosts)
    prepare(plan)
    lock = hold(plan.run)
    # Not `-m`, which would find a file of the user's before a module of that name.
    code = f"import sys; sys.path[:] = {sys.path!r}; from slurmkit.cli import main; main()"
    words = ["launch", str(plan.run.job_file), "--profile", "none"]
    words += ["--job-id", str(plan.job_id), "--lock", str(lock)]
    try:
        subprocess.Popen(
            [sys.executable, "-I", "-c", code, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it writes its own output file
            stderr=subprocess.DEVNULL,
            pass_fds=[lock],
            start_new_session=True,  # no Ctrl-C of the terminal or the notebook is for it
        )
    finally:
        os.close(lock)
    return plan.entry


def state(entry: Entry) -> State:
    """Tell the state of a job from its run directory.

    A job whose launcher was killed has FAILED: its hosts end it. One that was started by hand,
    with the scripts of `slurmkit render --hosts`, is known by what node 0 wrote.
    """
    run = RunDirectory(Path(entry.directory))
    rows = read_json_lines(run.events / "launch.jsonl")
    names = [row.get("event") for row in rows]
    if "ended" in names:
        last = rows[names.index("ended")]
        state = read_state(str(last.get("state", "")))
        why = last.get("first") or "it was stopped before"
        return state if "started" in names else replace(state, words=f"not started: {why}")
    if rows and not _lives(run):
        return read_state("FAILED")
    if rows:
        return read_state("RUNNING" if "started" in names else "PENDING")
    by_hand = run.batch_events()
    if not by_hand:
        return read_state("")
    last = by_hand[-1]
    if last.get("event") != "ended":
        return read_state("RUNNING")
    return read_state("FAILED" if last.get("code") else "COMPLETED")


def cancel(entry: Entry, signal: str | None = None) -> None:
    """End a job on all its hosts, or send a signal to its program there.

    Raises:
        UnknownJobError: it does not run, or nothing that could be told launched it.
    """
    run = RunDirectory(Path(entry.directory))
    if not (run.events / "launch.jsonl").exists():
        raise UnknownJobError(f"job {entry.id} was started by hand: end its scripts on the hosts")
    if not _lives(run):
        raise UnknownJobError(f"job {entry.id} does not run any more")
    with (run.path / "control").open("a", encoding="utf-8") as file:
        file.write((signal or "TERM").upper().removeprefix("SIG") + "\n")


def results(entry: Entry) -> list[Any]:
    """Return the result of a job."""
    return [RunDirectory(Path(entry.directory)).result()]


def _lives(run: RunDirectory) -> bool:
    """Tell whether the launcher holds its lock."""
    try:
        lock = os.open(run.path / "launch.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
