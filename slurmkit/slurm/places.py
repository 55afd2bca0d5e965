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
    name: str = ""
    user: str = ""


def places(id: str) -> Places | None:
    """Ask squeue, then sacct; None where neither knows the job.

    Raises:
        SlurmError: neither can be asked.
    """
    names = ("WorkDir", "Name", "UserName", "STDOUT", "STDERR")
    wanted = ",".join(f"{name}:{_WIDTH}{SEPARATOR}" for name in names)
    sacct = ["sacct", "--noheader", "--parsable2", f"--delimiter={SEPARATOR}", "--allocations"]
    questions = (
        ["squeue", "--noheader", "--states=all", f"--jobs={id}", f"--Format={wanted}"],
        [*sacct, f"--jobs={id}", "--format=WorkDir,JobName,User,StdOut,StdErr"],
        [*sacct, f"--jobs={id}", "--format=WorkDir,JobName,User"],  # before 24.05
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
            start, name, user, *outputs = (text.strip() for text in lines[-1].split(SEPARATOR))
            return Places(Path(start), tuple(filter(None, outputs)), name, user)
    if len(errors) == len(questions):
        raise errors[0]
    return None
