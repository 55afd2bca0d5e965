"""Jobs that were not submitted from here: Slurm knows where they started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from slurmkit.launch.registry import Entry, UnknownJobError
from slurmkit.slurm.commands import SlurmError, call

_WIDTH = 4096


class NoLogsError(UnknownJobError):
    """The job is known, and has left no logs; or not yet."""


def located(entry: Entry) -> Entry:
    """Return the entry with its run directory, asked of Slurm where the list does not know it.

    Raises:
        NoLogsError: the job left no run directory, or has not started yet.
        UnknownJobError: Slurm does not know the job either.
        SlurmError: Slurm cannot be asked.
    """
    if entry.directory:
        return entry
    start = _start_directory(entry.id)
    found = sorted(start.glob(f"runs/*/{entry.id}")) or sorted(start.glob(f"runs/*/{entry.id}_*"))
    output = start / f"slurmkit-{entry.id}.out"
    if not found and not output.exists():
        raise NoLogsError(
            f"job {entry.id} has written nothing in {start}, where it was submitted: no "
            f"{output.name}, no runs/*/{entry.id}; what it does: slurmkit status {entry.id}"
        )
    directory = found[0] if found else start / "runs" / "unknown" / entry.id
    return replace(entry, directory=str(directory.with_name(entry.id)))


def _start_directory(id: str) -> Path:
    questions = (
        ["squeue", "--noheader", "--states=all", f"--jobs={id}", f"--Format=WorkDir:{_WIDTH}"],
        ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={id}", "--format=WorkDir"],
    )
    errors: list[SlurmError] = []
    for question in questions:
        try:
            answer = call(question)
        except SlurmError as error:
            errors.append(error)
            continue
        lines = [line.strip() for line in answer.out.splitlines() if line.strip()]
        if answer.code == 0 and lines:
            return Path(lines[-1])
    if len(errors) == len(questions):
        raise errors[0]
    raise UnknownJobError(
        f"job {id} was not submitted from here, and Slurm does not know it; your jobs: "
        "slurmkit status"
    )
