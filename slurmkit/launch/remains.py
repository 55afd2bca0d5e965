"""A job told from its run directory alone: for ways of running, and clusters, that keep no list."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.launch.rundir import RunDirectory, read_json_lines
from slurmkit.slurm.commands import SlurmError
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
_NOT_ASKED = State("UNKNOWN", "unknown", "Slurm cannot be asked, and its script has not ended")


def record_of(entry: Entry, state: State | None = None, *, is_gone: bool = True) -> Record | None:
    """Make a job's record of its run directory; None where it has left nothing.

    Args:
        entry: the job, which is not in Slurm's queue.
        state: its state, where that is known from elsewhere.
        is_gone: whether Slurm has said that it no longer knows it; else it may well run.
    """
    if not entry.directory:
        return None
    run = RunDirectory(Path(entry.directory))
    events = run.batch_events()
    if not events and state is None:
        return None
    begin, end = _span(events)
    launched = {row.get("event"): row for row in _launch_events(run)}
    submitted = _time(launched.get("submitted", {}).get("time"))
    end = _time(launched.get("ended", {}).get("time")) if end is None else end
    code = _code(events)
    if not events and isinstance(own := launched.get("ended", {}).get("code"), int):
        code = own  # a script that ended before its launch has said nothing itself
    is_silent = code is None and state is None
    if state is None:
        by_code = read_state("COMPLETED" if code == 0 else "FAILED")
        state = _NOT_ASKED if is_silent and not is_gone else by_code
    nodes = sorted({log.node for log in run.rank_logs()})
    until = end if end is not None else time.time() if state.phase == "live" else None
    elapsed = "" if begin is None or until is None else _duration(until - begin)
    return Record(
        id=entry.id,
        raw_id=entry.id,
        name=entry.name,
        user="",
        state=state,
        reason=_SILENT if is_silent and is_gone else read_reason("None"),
        partition="",
        nodes=len(nodes),
        node_list=",".join(nodes),
        submitted=_local(submitted),
        started=_local(begin),
        ended=_local(end) if state.is_final else "",
        elapsed=elapsed,
        limit="",
        left="",
        restarts=sum(event.get("event") == "requeued" for event in events),
        exit_code=ExitCode(code) if code is not None and state.is_final else None,
    )


def records_of(entry: Entry, *, is_gone: bool = True) -> list[Record]:
    """Make the records of a job, or of an array's tasks, of what they have left; see above."""
    whole = record_of(entry, is_gone=is_gone)
    if whole is not None or not entry.directory:
        return [whole] if whole else []
    tasks = RunDirectory(Path(entry.directory)).tasks()
    entries = [replace(entry, id=run.path.name, directory=str(run.path)) for run in tasks]
    records = [record_of(one, is_gone=is_gone) for one in entries]
    return [record for record in records if record]


def of_back_end(entry: Entry) -> list[Record]:
    """Ask the way of running for the state of a job, or of a sweep's tasks; the files for the rest.

    Tasks that have not started are not told of.
    """
    tasks = RunDirectory(Path(entry.directory)).tasks() if entry.directory else []
    runs = [replace(entry, id=run.path.name, directory=str(run.path)) for run in tasks] or [entry]
    return [record for one in runs if (record := _of_one(one))]


def with_own_code(record: Record, entry: Entry) -> Record:
    """Return a record with the code that the script itself wrote down, where sacct's is folded."""
    told = record.exit_code
    if told is None or not (told.folded and told.code) or not entry.directory:
        return record
    directory = Path(entry.directory).with_name(record.id)
    code = _code(RunDirectory(directory).batch_events())
    return replace(record, exit_code=ExitCode(code)) if code == told.code + 128 else record


def _of_one(entry: Entry) -> Record | None:
    from slurmkit.launch.job import back_end

    try:
        return record_of(entry, back_end(entry.via).state(entry))
    except (SlurmError, RuntimeError, OSError, ImportError):
        return record_of(entry)


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


def _launch_events(run: RunDirectory) -> list[dict[str, Any]]:
    """Return what `launch` or `simulate` wrote down on this machine; nothing for other jobs."""
    names = ("launch.jsonl", "simulation.jsonl")
    return [row for name in names for row in read_json_lines(run.events / name)]


def _time(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


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
