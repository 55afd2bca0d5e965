"""Which job a user means by an id, a name or `--last`, and whether Slurm knows of it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from slurmkit.launch.registry import Entry, UnknownJobError, find, last
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.queue import live_ids, queued

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
    except UnknownJobError:
        found = _in_queue(text)
        if not found:
            raise
    if len(found) > 1:
        jobs = "\n".join(f"    {id:<12}{record.state}" for id, record in found.items())
        raise UnknownJobError(f"{len(found)} jobs are named {text!r}; name one by its id:\n{jobs}")
    return Entry(next(iter(found)), text, "")


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


def _in_queue(name: str) -> dict[str, Record]:
    try:
        records = queued(user=getpass.getuser(), lately=True, patience=10.0)
    except SlurmError:
        return {}
    named = [record for record in records if record.name == name]
    live = [record for record in named if not record.state.is_final]
    return {record.array_id: record for record in live or named}
