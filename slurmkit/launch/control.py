"""End jobs, or send them a signal, whichever way they run; and tell what was done."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.launch.chosen import is_on_slurm
from slurmkit.launch.registry import Entry, UnknownJobError
from slurmkit.launch.remains import records_of
from slurmkit.launch.rundir import RunDirectory
from slurmkit.slurm import scancel
from slurmkit.slurm.queue import find_records
from slurmkit.slurm.states import State, combined

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRAPS = re.compile(r"^#SBATCH --signal=\S*B\S*:(\w+)@", re.MULTILINE)


def states(entries: Sequence[Entry]) -> list[State]:
    """Ask for the states of jobs, before anything is done to one of them.

    Raises:
        UnknownJobError: nobody knows one of them.
        SlurmError: Slurm cannot be asked.
    """
    on_slurm = [entry.id for entry in entries if is_on_slurm(entry)]
    records = find_records(on_slurm) if on_slurm else []
    told = []
    for entry in entries:
        if is_on_slurm(entry):
            own = [r.state for r in records if entry.id in (r.id, r.array_id)]
            own += [r.state for r in records if not own and _holds(r.id, entry)]
            own = own or [record.state for record in records_of(entry)]
            if not own:
                raise UnknownJobError(unknown(entry.id))
            told.append(combined(own))
        else:
            from slurmkit.launch.job import back_end

            told.append(back_end(entry.via).state(entry))
    return told


def unknown(id: str) -> str:
    """Return what to say of a job that Slurm does not know, and that has left nothing."""
    more = "; a task that is cancelled while it waits leaves no trace" if "_" in id else ""
    return f"Slurm knows no job {id}{more}: your jobs: slurmkit status"


def end(entries: Sequence[Entry]) -> None:
    """End jobs.

    Raises:
        SlurmError: Slurm refuses, or cannot be reached.
    """
    on_slurm = [entry.id for entry in entries if is_on_slurm(entry)]
    if on_slurm:
        scancel.cancel(on_slurm)
    _others(entries, None)


def send(entries: Sequence[Entry], signal: str) -> None:
    """Send jobs a signal: to the script where it asked Slurm for this one, else to its processes.

    Raises:
        SlurmError: Slurm refuses, or cannot be reached.
    """
    for to_script in (True, False):
        ids = [e.id for e in entries if is_on_slurm(e) and _traps(e, signal) == to_script]
        if ids:
            scancel.signal(ids, signal, to_script=to_script)
    _others(entries, signal)


def _others(entries: Sequence[Entry], signal: str | None) -> None:
    from slurmkit.launch.job import back_end

    for entry in entries:
        if not is_on_slurm(entry):
            back_end(entry.via).cancel(entry, signal)


def _traps(entry: Entry, signal: str) -> bool:
    """Tell whether the job's script has a trap for a signal, which it hands on to its workers."""
    if not entry.directory:
        return False
    directory = Path(entry.directory)
    runs = [RunDirectory(directory), *RunDirectory(directory).tasks()[:1]]
    for run in runs:
        try:
            script = run.script.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = _TRAPS.search(script)
        return found is not None and found[1] == signal
    return False


def _holds(id: str, entry: Entry) -> bool:
    """Tell whether `7_[2-5]`, the record of tasks that wait, holds the task `7_4`."""
    array, bracket, indices = id.partition("_[")
    if not bracket or array != entry.array_id:
        return False
    task = int(entry.id.partition("_")[2] or -1)
    for part in indices.rstrip("]").partition("%")[0].split(","):
        first, _, last = part.partition(":")[0].partition("-")
        if first.isdecimal() and int(first) <= task <= int(last if last.isdecimal() else first):
            return True
    return False
