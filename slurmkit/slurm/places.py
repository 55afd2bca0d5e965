"""Where a job was submitted and where its output goes, as far as Slurm still knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slurmkit.slurm.commands import SlurmError, call
from slurmkit.slurm.records import SEPARATOR

_WIDTH = 4096


@dataclass(frozen=True, slots=True)
class Places:
    """The directories and files of a job."""

    start: Path
    """Where it was submitted."""
    outputs: tuple[str, ...] = ()
    """Standard output and error as Slurm tells them; sacct leaves `%j` and its like in them."""


def places(id: str) -> Places | None:
    """Ask squeue, then sacct; None where neither knows the job.

    Raises:
        SlurmError: neither can be asked.
    """
    wanted = ",".join(f"{name}:{_WIDTH}{SEPARATOR}" for name in ("WorkDir", "STDOUT", "STDERR"))
    sacct = ["sacct", "--noheader", "--parsable2", f"--delimiter={SEPARATOR}", "--allocations"]
    questions = (
        ["squeue", "--noheader", "--states=all", f"--jobs={id}", f"--Format={wanted}"],
        [*sacct, f"--jobs={id}", "--format=WorkDir,StdOut,StdErr"],
        [*sacct, f"--jobs={id}", "--format=WorkDir"],  # before 24.05
    )
    errors: list[SlurmError] = []
    for question in questions:
        try:
            answer = call(question)
        except SlurmError as error:
            errors.append(error)
            continue
        lines = [line for line in answer.out.splitlines() if line.strip()]
        if answer.code == 0 and lines:
            start, *named = (text.strip() for text in lines[-1].split(SEPARATOR))
            return Places(Path(start), tuple(filter(None, named)))
    if len(errors) == len(questions):
        raise errors[0]
    return None
