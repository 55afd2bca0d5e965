"""Jobs that were not submitted from here: Slurm knows where they started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from slurmkit.launch.registry import Entry, UnknownJobError
from slurmkit.slurm.places import places


class NoLogsError(UnknownJobError):
    """The job is known, and has left no logs; or not yet."""


class ForeignJobError(NoLogsError):
    """The job has started, and is none of slurmkit's: its output is in a file of its own."""


def located(entry: Entry) -> Entry:
    """Return the entry with its run directory, asked of Slurm where the list does not know it.

    Raises:
        NoLogsError: the job left no run directory, or has not started yet.
        UnknownJobError: Slurm does not know the job either.
        SlurmError: Slurm cannot be asked.
    """
    if entry.directory:
        return entry
    known = places(entry.id)
    if known is None:
        raise UnknownJobError(
            f"job {entry.id} was not submitted from here, and Slurm does not know it; your jobs: "
            "slurmkit status"
        )
    start, stdout = known.start, next(map(Path, known.outputs), None)
    found = sorted(start.glob(f"runs/*/{entry.id}")) or sorted(start.glob(f"runs/*/{entry.id}_*"))
    output = start / f"slurmkit-{entry.id}.out"
    if not found and not output.exists():
        missing = (
            f"job {entry.id} has no logs of slurmkit's in {start}, where it was submitted: no "
            f"{output.name}, no runs/*/{entry.id}; "
        )
        if stdout is not None and not stdout.name.startswith("slurmkit-") and stdout.is_file():
            raise ForeignJobError(f"{missing}Slurm writes its output to {stdout}")
        raise NoLogsError(f"{missing}what it does: slurmkit status {entry.id}")
    directory = found[0] if found else start / "runs" / "unknown" / entry.id
    return replace(entry, directory=str(directory.with_name(entry.id)))
