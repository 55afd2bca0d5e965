"""Jobs that Slurm does not tell of: their run directories do, and their way of running."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from slurmkit.launch.chosen import is_on_slurm
from slurmkit.launch.registry import Entry
from slurmkit.launch.remains import of_back_end, records_of
from slurmkit.launch.rundir import RunDirectory
from slurmkit.slurm.records import Record

_LATELY = timedelta(hours=24)
MOST = 200
"""Of the list: so many of the last jobs that Slurm does not tell of are looked for."""


def left_lately(entries: Iterable[Entry], told: Collection[str], *, is_gone: bool) -> list[Record]:
    """Return the jobs that are in the list alone, and go on or ended in the last 24 hours.

    Args:
        entries: the jobs of the list, and the tasks of its arrays.
        told: the jobs and arrays that Slurm has told of.
        is_gone: whether Slurm could be asked.
    """
    records: list[Record] = []
    seen: set[str] = set()
    untold = [entry for entry in entries if entry.array_id not in told]
    for entry in untold[-MOST:]:
        id = entry.array_id
        if id in seen or not (_stirred(entry) or entry.via == "ssh"):
            continue
        whole = entry
        if entry.id != id:
            whole = replace(entry, id=id, directory=str(Path(entry.directory).with_name(id)))
        seen.add(id)
        found = records_of(whole, is_gone=is_gone) if is_on_slurm(entry) else of_back_end(whole)
        if any(map(is_shown, found)):
            records += found
    return records


def is_shown(record: Record) -> bool:
    """Tell whether a job goes on, or has ended lately."""
    if not record.state.is_final:
        return True
    try:
        last = record.ended or record.started  # no word of an end: when it began
        return datetime.now() - datetime.fromisoformat(last) < _LATELY
    except ValueError:
        return False


def _stirred(entry: Entry) -> bool:
    """Tell whether a job has written down something lately: a look at files, not into them."""
    if not entry.directory:
        return False
    run = RunDirectory(Path(entry.directory))
    runs = [run] if run.events.is_dir() else run.tasks()
    return any(time.time() - _last_written(one.events) < _LATELY.total_seconds() for one in runs)


def _last_written(events: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (events, *events.iterdir()))
    except OSError:
        return 0.0
