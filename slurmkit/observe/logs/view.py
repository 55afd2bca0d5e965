"""What of a job's logs is to be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slurmkit.launch.rundir import RankLog

_RANKS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclass(frozen=True, slots=True)
class View:
    """What to show; when nothing is said, the script's own lines and those of rank 0."""

    ranks: tuple[range, ...] = ()
    """Only these ranks; see `read_ranks`."""
    node: str | None = None
    """Only the ranks of this node."""
    everything: bool = False
    """The script's own lines and those of all ranks."""
    grep: re.Pattern[bytes] | None = None
    """Only lines in which this is found; see `read_grep`."""
    lines: int | None = None
    """Only so many lines, the last ones; in an array of each task."""
    colours: bool = False
    """For a terminal: labels in colour, and no control characters but those of colours."""

    @property
    def is_default(self) -> bool:
        """Whether the user chose nothing."""
        return not (self.ranks or self.node or self.everything)

    @property
    def script(self) -> bool:
        """Whether the script's own lines are wanted."""
        return self.everything or self.is_default

    @property
    def folds(self) -> bool:
        """Whether the tracebacks of torchrun's agents are told in a line."""
        return self.is_default and self.grep is None

    def wants(self, log: RankLog) -> bool:
        """Tell whether the lines of a rank are wanted."""
        if self.is_default:
            return log.rank == 0
        of_rank = not self.ranks or any(log.rank in ranks for ranks in self.ranks)
        return of_rank and self.node in (None, log.node, log.node.partition(".")[0])


def read_ranks(text: str) -> tuple[range, ...]:
    """Read `3`, `0,5-7`.

    Raises:
        ValueError: it is no list of ranks.
    """
    if not _RANKS.fullmatch(text):
        raise ValueError(f"{text!r} is no list of ranks: 3, or 0,5-7")
    ends = [part.partition("-") for part in text.split(",")]
    return tuple(range(int(first), int(last or first) + 1) for first, _, last in ends)


def read_grep(text: str) -> re.Pattern[bytes]:
    """Read a regular expression, of Python's kind.

    Raises:
        ValueError: it is none.
    """
    try:
        return re.compile(text.encode("utf-8", "surrogateescape"))
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
