"""A script's bytes, places in them, and the texts within that another shell reads."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from slurmkit.check.script.words import Piece


class Span(NamedTuple):
    """Bytes of the file, from `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """A file as it stands."""

    data: bytes
    name: str = "-"

    @cached_property
    def starts(self) -> list[int]:
        """The offset at which each line begins."""
        found = [0]
        at = self.data.find(b"\n")
        while at >= 0:
            found.append(at + 1)
            at = self.data.find(b"\n", at + 1)
        return found

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of a byte, both counted from 1, the column in characters."""
        line = bisect_right(self.starts, offset)
        before = self.data[self.starts[line - 1] : offset]
        return line, len(before.decode(errors="replace")) + 1

    def line_text(self, line: int) -> str:
        """Return a line, counted from 1, without its end."""
        begin = self.starts[line - 1]
        end = self.starts[line] if line < len(self.starts) else len(self.data)
        return self.data[begin:end].rstrip(b"\r\n").decode(errors="replace")

    def line_span(self, line: int) -> Span:
        """Return a line's bytes with its line break."""
        end = self.starts[line] if line < len(self.starts) else len(self.data)
        return Span(self.starts[line - 1], end)


@dataclass(frozen=True, eq=False)
class Text:
    """What a shell reads: the file itself, or a word or heredoc in it.

    What an outer shell puts in and cannot be known here stands as a placeholder: a word of three
    characters, U+E000, one that is a number from U+E100 up, and U+E001.
    """

    source: Source
    data: bytes
    origins: array[int] | None = None
    """The offset in the file of each byte; None where that is the byte's own."""
    placeholders: list[Piece] = field(default_factory=list)

    def span(self, start: int, end: int) -> Span:
        """Return the bytes of the file that bytes of this text come from."""
        if self.origins is None:
            return Span(start, end)
        if start >= len(self.origins):
            last = self.origins[-1] + 1 if self.origins else 0
            return Span(last, last)
        first = self.origins[start]
        return Span(
            first,
            max(first, self.origins[min(max(end - 1, start), len(self.origins) - 1)])
            + (end > start),
        )


@lru_cache(maxsize=64)
def holds(data: bytes, pattern: re.Pattern[bytes]) -> bool:
    """Tell whether a pattern is found in a file, which each of its inner scripts asks again."""
    return pattern.search(data) is not None


def whole(source: Source) -> Text:
    """Return the text that is the file."""
    return Text(source, source.data)
