"""A job told from its run directory alone: for ways of running, and clusters, that keep no list."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.launch.rundir import RunDirectory
from slurmkit.slurm.exit_code import ExitCode
from slurmkit.slurm.reasons import Reason, read_reason
from slurmkit.slurm.records import Record
from slurmkit.slurm.states import State, read_state

if TYPE_CHECKING:
    from slurmkit.launch.registry import Entry

_SILENT = Reason(
    "Unknown",
    "Slurm no longer knows it, and its script ended without a word: cancelled, out of time, or a "
    "node died",
    "slurmkit logs JOB",
)


def record_of(entry: Entry, state: State | None = None) -> Record | None:
    """Make a job's record of its run directory; None where it has left nothing.

    Args:
        entry: the job, which is not in Slurm's queue.
        state: its state, where that is known from elsewhere.
    """
    if not entry.directory:
        return None
    run = RunDirectory(Path(entry.directory))
    events = run.batch_events()
    if not events and state is None:
        return None
    begin, end = _span(events)
    code = _code(events)
    by_events = read_state("COMPLETED" if code == 0 else "FAILED")
    if state is None:
        state = by_events
    nodes = sorted({log.node for log in run.rank_logs()})
    until = end if end is not None else time.time() if state.phase == "live" else None
    elapsed = "" if begin is None or until is None else _duration(until - begin)
    return Record(
        id=entry.id,
        raw_id=entry.id,
        name=entry.name,
        user="",
        state=state,
        reason=_SILENT if code is None and state is by_events else read_reason("None"),
        partition="",
        nodes=len(nodes),
        node_list=",".join(nodes),
        submitted="",
        started=_local(begin),
        ended=_local(end) if state.is_final else "",
        elapsed=elapsed,
        limit="",
        left="",
        restarts=sum(event.get("event") == "requeued" for event in events),
        exit_code=ExitCode(code) if code is not None and state.is_final else None,
    )


def records_of(entry: Entry) -> list[Record]:
    """Make the records of a job, or of an array's tasks, of what they have left."""
    from dataclasses import replace

    whole = record_of(entry)
    if whole is not None or not entry.directory:
        return [whole] if whole else []
    tasks = RunDirectory(Path(entry.directory)).tasks()
    entries = [replace(entry, id=run.path.name, directory=str(run.path)) for run in tasks]
    return [record for record in map(record_of, entries) if record]


def _span(events: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """Return when the job's last run began, and when it ended."""
    begin = end = None
    for event in events:
        name, when = event.get("event"), event.get("time")
        if not isinstance(when, int | float):
            continue
        begin = None if name == "requeued" else when if begin is None else begin
        end = when if name in ("ended", "requeued") else None
    return begin, end


def _code(events: list[dict[str, Any]]) -> int | None:
    """Return the code that the script ended with; None when it was ended, or goes on."""
    last = events[-1] if events else {}
    code = last.get("code")
    return code if last.get("event") == "ended" and isinstance(code, int) else None


def _local(when: float | None) -> str:
    return "" if when is None else time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(when))


def _duration(seconds: float) -> str:
    minutes, second = divmod(max(round(seconds), 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"
