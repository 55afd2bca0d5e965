"""Many log files in one order: by time, then by file; the order within a file is always kept.

Lines with one time stay together, so that a traceback is not torn. The memory is bounded,
however large or many the files are: each is read in pieces, and all lines that no later piece can
come before are sorted at once, which is far cheaper than a heap with a step a line.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from slurmkit.observe.logs.reading import LogFile
from slurmkit.observe.logs.stamps import AFTER_ALL, BEFORE_ALL

_BUDGET = 32 << 20
_OVERHEAD = 128  # bytes that Python needs for a line beyond its text
_AT_ONCE = 65536  # lines
_SMALLEST, _LARGEST = 8 << 10, 1 << 20  # bytes a read

Keep = Callable[[bytes], object]


@dataclass(slots=True)
class _Stream:
    """The lines of a file that were read and are not given out yet."""

    file: LogFile
    number: int
    labelled: bool
    times: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    at: int = 0
    few: int = 0
    """Read on when no more lines than this are left."""
    weight: float = 0.0
    """Bytes a line."""
    ended: bool = False
    last: str = BEFORE_ALL
    """The time before which nothing more can come."""

    @property
    def held(self) -> float:
        return (len(self.lines) - self.at) * self.weight

    def fill(self, size: int, partial: bool, keep: Keep | None) -> None:
        """Read on until there are lines, or the file ends."""
        del self.times[: self.at], self.lines[: self.at]
        self.at = 0
        while not self.ended and len(self.lines) <= self.few:
            found = self.file.read(size, labelled=self.labelled)
            if found is None:
                self.ended = True
                found = self.file.flush(labelled=self.labelled) if partial else ([], [])
            times, lines = found
            self.last = self.file.last
            if keep is not None:
                start = len(self.file.label) if self.labelled else 0
                kept = [at for at, line in enumerate(lines) if keep(line[start:])]
                times, lines = [times[at] for at in kept], [lines[at] for at in kept]
            self.times += times
            self.lines += lines
            self.few = len(lines) // 2
            if lines or keep is not None:
                break
        if self.lines:
            self.weight = sum(map(len, self.lines)) / len(self.lines) + _OVERHEAD

    def upto(self, time: str, number: int) -> int:
        """Count the lines that come before those of this time of later files."""
        search = bisect_right if self.number <= number else bisect_left
        return search(self.times, time, self.at)


def merge(
    files: Sequence[LogFile],
    *,
    labelled: bool = False,
    partial: bool = True,
    keep: Keep | None = None,
) -> Iterator[list[bytes]]:
    """Read files up to their present ends; give their lines, many at a time, in order.

    Args:
        files: the files, in the order in which those of equal time come.
        labelled: put each file's label before its lines.
        partial: give a last line without newline too, instead of holding it.
        keep: which lines are wanted; all when not given.
    """
    streams = [_Stream(file, n, labelled) for n, file in enumerate(files)]
    while streams:
        hungry = [s for s in streams if not s.ended and len(s.lines) - s.at <= s.few]
        if hungry:
            room = (_BUDGET - sum(stream.held for stream in streams)) / len(hungry)
            size = int(min(max(room, _SMALLEST), _LARGEST))
            for stream in hungry:
                stream.fill(size, partial, keep)
        end, number = min(
            ((s.last, s.number) for s in streams if not s.ended), default=(AFTER_ALL, len(files))
        )
        for time in _steps(streams, end):
            ready = _take(streams, time, number if time == end else -1)
            if ready:
                yield ready
        streams = [s for s in streams if not s.ended or s.at < len(s.lines)]


def _steps(streams: Sequence[_Stream], end: str) -> Iterator[str]:
    """Give times on the way to the end, with so few lines between them that caches hold them."""
    longest = max(streams, key=lambda stream: len(stream.times) - stream.at)
    count = sum(len(stream.times) - stream.at for stream in streams)
    step = max((len(longest.times) - longest.at) * _AT_ONCE // max(count, 1), 1)
    for time in longest.times[longest.at + step :: step]:
        if time >= end:
            break
        yield time
    yield end


def _take(streams: Sequence[_Stream], end: str, number: int) -> list[bytes]:
    """Take all lines up to a place in the order, and put them into it."""
    times: list[str] = []
    lines: list[bytes] = []
    sources = 0
    for stream in streams:
        at = stream.at
        if at == len(stream.times) or stream.times[at] > end:
            continue
        upto = stream.upto(end, number)
        if upto == at:
            continue
        times += stream.times[at:upto]
        lines += stream.lines[at:upto]
        stream.at = upto
        sources += 1
    if sources < 2:
        return lines
    # Each file's part is in order already, of which this sort makes use; it is stable, too.
    return [lines[at] for at in sorted(range(len(times)), key=times.__getitem__)]
