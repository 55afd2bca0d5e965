"""What stands around a line of a log: its time, the traceback above, whether training went on."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from slurmkit.check.doctor.event import Line
from slurmkit.check.doctor.lines import Said, read_line
from slurmkit.check.doctor.stamps import Stamp, find_stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_ABOVE, _BELOW = 48 << 10, 160 << 10  # bytes that are read around a line
_PROGRESS = re.compile(
    r"(?i)\b(?:step|iter(?:ation)?|it|epoch|batch|global_step|ep|num_updates)\b[\W_]{0,6}\d+"
    r".{0,200}?(?:loss|\blr\b|acc|ppl|tok|grad|time|elapsed|samples|throughput)"
    r"|\d+%\|.{0,40}\| *\d+/\d+|[\"']loss[\"'] ?: ?\d|\bloss ?[=:] ?\d"
)
_ENOUGH = 5
_DONE = re.compile(
    r"(?i)`?Trainer\.fit`? stopped: `?max_|\btrain_runtime\b"
    r"|\b(?:training|job|run) (?:is )?(?:done|finished|completed?)\b"
    r"|^simulate: job \S+ COMPLETED"
)
_FENCE = re.compile(r"^\s*(?:```|~~~)")  # another text that was pasted begins here
TRACEBACK = "Traceback (most recent call last)"
FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')
_OF_LIBRARY = re.compile(r"site-packages|dist-packages|/lib/python3|<frozen |importlib")
_IGNORED = re.compile(r"Exception ignored in|--- Logging error ---")  # the program goes on
_RAISED_FROM = "was the direct cause of"
_CHAINED = re.compile(rf"During handling of the above|{_RAISED_FROM}")


_BOXED = re.compile(r"\s*[│|] +(?:❱ +)?\d+ [│|] ")  # rich's tracebacks
_MOST_QUOTED = 12  # lines of source below a frame
_FEW = 10  # lines that a dead process may have left to write


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file."""

    offset: int
    number: int
    said: Said


class Nearby:
    """The lines around places of one file; what was read last is kept."""

    def __init__(self, path: Path, latest: datetime | None) -> None:
        self._path = path
        self._latest = latest
        self._span = (0, 0)
        self._size = 0
        self._rows: list[Row] = []
        self._offsets: list[int] = []
        self._marks: list[tuple[int, str, str]] | None = None  # found when they are first asked for

    def stamp(self, offset: int, number: int, said: Said) -> Stamp | None:
        """Return the time of a line: its own, else that of the nearest line of the same rank."""
        own = find_stamp(said.shown, self._latest)
        if own is not None:
            return own
        at = self._at(offset, number)
        above = (self._time(row, said) for row in reversed(self._rows[:at]))
        below = (self._time(row, said) for row in self._rows[at + 1 : at + 200])
        return next(filter(None, above), None) or next(filter(None, below), None)

    def frames(self, offset: int, number: int, said: Said) -> tuple[tuple[Line, ...], int]:
        """Return the last line of the user's own code in the traceback above an exception.

        And where the chain of tracebacks begins; the line's own place where there is none.
        """
        at = self._at(offset, number)
        rows = [row for row in self._rows[max(0, at - 400) : at] if row.said.rank == said.rank]
        found: list[Row] = []
        chain = offset
        for row in reversed(rows):
            text = row.said.text
            if TRACEBACK in text:
                chain = row.offset
                if not self._is_chained(rows, row):
                    break
            elif chain == offset and FRAME.match(text):
                found.append(row)
        own = [row for row in found if not _OF_LIBRARY.search(row.said.text)] or found
        return tuple(self._line(row) for row in own[:1]), chain

    def is_caused(self, offset: int, number: int, said: Said) -> bool:
        """Tell whether an exception was raised from another, whose traceback stands above its own.

        One that came up while another was handled (a cleanup that failed) may be a mishap.
        """
        at = self._at(offset, number)
        rows = [row for row in self._rows[max(0, at - 400) : at] if row.said.rank == said.rank]
        for place in range(len(rows) - 1, -1, -1):
            if TRACEBACK in rows[place].said.text:
                above = rows[max(0, place - 4) : place]
                return any(_RAISED_FROM in row.said.text for row in above)
        return False

    def is_quoted(self, offset: int, number: int, said: Said) -> bool:
        """Tell whether a line is the source that a traceback quotes, and not what was said.

        It stands below `File "…", line N` and is indented deeper, as all lines between are.
        """
        if _BOXED.match(said.text):
            return True
        if not said.text[:1].isspace() and not said.shown[: -len(said.text)].endswith("  "):
            return False
        at = self._at(offset, number)
        start = self._rows[at].offset
        while at > 0 and not said.shown.startswith(self._rows[at].said.shown):
            if self._rows[at].offset != start:
                return False
            at -= 1
        rows = (row for row in reversed(self._rows[:at]) if row.said.rank == said.rank)
        between: list[Said] = [said]
        for row in islice(rows, _MOST_QUOTED):
            if FRAME.match(row.said.text):
                return all(_is_deeper(one, row.said) for one in between)
            between.append(row.said)
        return False

    def is_ignored(self, chain: int) -> bool:
        """Tell whether Python passed over the exception whose tracebacks begin there.

        It must be one that `frames` has just returned.
        """
        at = bisect_right(self._offsets, chain) - 1
        return any(_IGNORED.search(row.said.text) for row in self._rows[max(0, at - 1) : at])

    def went_on(self, offset: int, number: int) -> bool:
        """Tell whether training went on behind a line."""
        at = self._at(offset, number)
        if self._marks is None:
            self._marks = [mark for at, row in enumerate(self._rows) for mark in _marks(at, row)]
        told: set[str] = set()
        for _, what, text in self._marks[bisect_right(self._marks, (at, "~", "")) :]:
            if what == "fence":
                return False
            told.add(text)
            if what == "done" or len(told) >= _ENOUGH:
                return True
        return False

    def below(self, offset: int, number: int) -> Iterator[Row]:
        """Give the lines behind a line, as far as they are read."""
        at = self._at(offset, number)
        yield from self._rows[at + 1 :]

    def innermost(self, offset: int, number: int) -> str:
        """Return the frame that is nearest above an exception; nothing where there is none."""
        at = self._at(offset, number)
        above = (row.said.text for row in reversed(self._rows[max(0, at - _MOST_QUOTED) : at]))
        return next(filter(FRAME.match, above), "")

    def trained_until(self, offset: int, number: int, end: int | None, rank: int | None) -> bool:
        """Tell whether training went on behind a line, before another; that of a rank, if named."""
        rows = (row for row in self.below(offset, number) if end is None or row.offset < end)
        return any(_is_progress(row) for row in rows if rank in (None, row.said.rank))

    def is_last(self, offset: int, number: int, rank: int | None) -> bool:
        """Tell whether a line is nearly the last that was written; by a rank, if it is named."""
        behind = [row for row in self.below(offset, number) if rank in (None, row.said.rank)]
        is_end = self._span[1] >= self._size
        return is_end and len(behind) <= _FEW and not any(map(_is_progress, behind))

    def _is_chained(self, rows: list[Row], head: Row) -> bool:
        place = rows.index(head)
        return any(_CHAINED.search(row.said.text) for row in rows[max(0, place - 4) : place])

    def _time(self, row: Row, said: Said) -> Stamp | None:
        if row.said.rank not in (None, said.rank):
            return None
        return find_stamp(row.said.shown, self._latest)

    def _line(self, row: Row) -> Line:
        return Line(str(self._path), row.number, row.said.text.strip())

    def _at(self, offset: int, number: int) -> int:
        """Return the place of a line among those that are read; read them if they are not."""
        begin, end = self._span
        low, high = max(begin, offset - _ABOVE // 2), min(end, offset + _BELOW // 2)
        is_whole = begin == 0 or offset - begin >= _ABOVE // 2
        if not (low <= offset < high and is_whole):
            self._read(offset, number)
        return bisect_right(self._offsets, offset) - 1

    def _read(self, offset: int, number: int) -> None:
        start = max(0, offset - _ABOVE)
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                data = file.read(offset - start + _BELOW)
                self._size = file.seek(0, 2)
        except OSError:
            data = b""
        number -= data.count(b"\n", 0, offset - start)
        self._rows, self._marks = [], None
        at = start
        for raw in data.split(b"\n"):
            self._rows += [Row(at, number, said) for said in read_line(raw)]
            at += len(raw) + 1
            number += 1
        self._rows = self._rows or [Row(offset, number, Said("", ""))]
        self._offsets = [row.offset for row in self._rows]
        self._span = (start, start + len(data))


def _marks(at: int, row: Row) -> Iterator[tuple[int, str, str]]:
    """Give what a line at a place tells of training: another text, its end, or its progress."""
    text = row.said.text
    if _FENCE.match(text):
        yield at, "fence", text
    elif _DONE.search(text):
        yield at, "done", text
    elif _PROGRESS.search(text):
        yield at, "progress", text


def _is_progress(row: Row) -> bool:
    return _PROGRESS.search(row.said.text) is not None


def _is_deeper(said: Said, frame: Said) -> bool:
    """Tell whether a line is indented deeper than a frame; a prefix may have eaten the spaces."""
    text, of_frame = said.text.lstrip(), frame.text.lstrip()
    if len(said.text) - len(text) > len(frame.text) - len(of_frame):
        return True
    lead = said.shown[: len(said.shown) - len(text)]
    of_frame_lead = frame.shown[: len(frame.shown) - len(of_frame)]
    is_longer = len(lead) > len(of_frame_lead)
    return is_longer and bool(of_frame_lead.strip()) and lead.rstrip() == of_frame_lead.rstrip()
