"""Which job a user means by an id, a name or `--last`, and whether Slurm knows of it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from slurmkit.launch.registry import AmbiguousNameError, Entry, UnknownJobError, find, last
from slurmkit.launch.remains import records_of
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.queue import find_records, live_ids, queued
from slurmkit.slurm.states import combined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.slurm.records import Record

_LOCAL = "local"  # the cluster of what submitit runs on this machine, without Slurm


def choose(text: str) -> Entry:
    """Return the job that an id or a name stands for.

    Of several jobs with one name, the only one that waits or runs is meant. A name that was not
    submitted from here is looked for in the queue, and among what it has not forgotten yet.

    Raises:
        UnknownJobError: no job has this name, or several have.
    """
    try:
        return find(text, is_live=live_ids)
    except AmbiguousNameError as error:
        lines = _told(error.jobs, _records(error.jobs))
        raise AmbiguousNameError(text, error.jobs, lines) from None
    except UnknownJobError:
        found = _in_queue(text)
        if not found:
            raise
    jobs = [Entry(id, text, "") for id in found]
    if len(jobs) > 1:
        raise AmbiguousNameError(text, jobs, _told(jobs, list(found.values())))
    return jobs[0]


def choose_all(texts: Sequence[str], use_last: bool) -> list[Entry]:
    """Return the jobs that these ids and names stand for, each once.

    Raises:
        UnknownJobError: no job has one of these names, or several have.
    """
    chosen = [last()] if use_last else []
    chosen += [choose(text) for text in texts]
    return list({entry.id: entry for entry in chosen}.values())


def is_on_slurm(entry: Entry) -> bool:
    """Tell whether Slurm knows of a job."""
    if entry.via == "submitit":
        return entry.cluster != _LOCAL
    return entry.via == "sbatch"


def _records(jobs: Sequence[Entry]) -> list[Record]:
    """Return what Slurm knows of jobs, or what they have left."""
    ids = [entry.id for entry in jobs if is_on_slurm(entry)]
    try:
        records = find_records(ids, patience=10.0) if ids else []
        is_gone = True
    except SlurmError:
        records, is_gone = [], False
    told = {record.array_id for record in records}
    left = (records_of(entry, is_gone=is_gone) for entry in jobs if entry.id not in told)
    return [*records, *(record for found in left for record in found)]


def _told(jobs: Sequence[Entry], records: Sequence[Record]) -> list[str]:
    """Return a line a job, the newest first: its id, its state, when, and where its files are."""
    rows = []
    for entry in jobs:
        own = [record for record in records if record.array_id == entry.id]
        state = str(combined([record.state for record in own])) if own else "-"
        at = max((record.submitted or record.started for record in own), default="")
        ends = (
            [record.ended for record in own] if own and all(r.state.is_final for r in own) else []
        )
        when = f"ended {max(ends)}" if any(ends) else f"submitted {at}" if at else ""
        words = f"{entry.id:<12}{state:<15}{when.replace('T', ' '):<31}{entry.directory}"
        rows.append((at or max(ends, default=""), words.rstrip()))
    rows.reverse()  # those of which no time is known: the list's order
    return [words for _, words in sorted(rows, key=lambda row: row[0], reverse=True)]


def _in_queue(name: str) -> dict[str, Record]:
    try:
        records = queued(user=getpass.getuser(), lately=True, patience=10.0)
    except SlurmError:
        return {}
    named = [record for record in records if record.name == name]
    live = [record for record in named if not record.state.is_final]
    return {record.array_id: record for record in live or named}
