"""One line of a log as a step in a death: which cause it names, where, when and of whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurmkit.check.doctor.cause import Cause
    from slurmkit.check.doctor.stamps import Stamp


@dataclass(frozen=True, slots=True)
class Log:
    """A file that a job wrote."""

    path: Path
    rank: int | None = None
    """Of a file of one rank alone."""
    node: str | None = None
    attempts: int = 1
    """How many of the job may have written to it, with nothing between them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, as evidence."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """A line that names a cause."""

    cause: Cause
    line: Line
    place: tuple[int, int]
    """Number of the log, and the line's first byte: the order where no times are known."""
    text: str
    """The line without its prefixes."""
    rank: int | None = None
    node: str | None = None
    stamp: Stamp | None = None
    frames: tuple[Line, ...] = ()
    """Of an exception: where it was raised, the traceback's last line of the user's own code."""
    chain: int = 0
    """Where the chain of tracebacks begins that it belongs to; events of one chain share it."""
    is_caused: bool = False
    """Whether it was raised from the exception above it in its chain."""
    survived: bool = False
    """Whether training went on behind it."""
    trained_on: bool = False
    """Whether its rank went on for a step at least, which alone does not mean that it survived."""
    written: float | None = None
    """When its file was written last, where that tells when its process, or the job, ended."""
    count: int = 0
    """How many processes have come, of so many."""
    world: int = 0
    is_warning: bool = False
    """Whether its own program calls it a warning: it goes on, or tries again."""
    in_prose: bool = False
    """Whether it stands beside the pasted output, in what a person wrote."""

    @property
    def code(self) -> str:
        """The cause's code."""
        return self.cause.code

    @property
    def seconds(self) -> float | None:
        """When, where that is known."""
        return self.stamp.seconds if self.stamp else None
