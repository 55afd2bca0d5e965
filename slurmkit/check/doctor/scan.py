"""Finds the lines of log files that name a cause, in blocks: a gigabyte needs no more memory."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit.check.doctor.lines import Said, read_line
from slurmkit.check.doctor.sieve import Sieve, shape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from slurmkit.check.doctor.cause import Cause

_BLOCK = 2 << 20
_LONGEST = 16 << 20  # a line that does not end by then is cut
_SMALL = 4 << 20  # files up to this size are also searched for wrapped lines
_OFTEN = 1000  # lines of one shape that are tried; from there on the last of a block
_MANY = 5000  # the same for lines of different shapes that may name the same causes
_SHAPES = 200  # of a cause that are told apart
_FIRST, _LAST = 40, 20  # lines of one cause and shape that are kept of a file
_NARROWEST = 40  # characters of a line that may have been wrapped
_UNWRAPPED = ("noise", "aftermath", "trace", "error", "start")


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that names a cause."""

    cause: Cause
    said: Said
    number: int
    """Of the line in its file, from 1."""
    offset: int
    """Where the line begins, in bytes."""
    groups: dict[str, str]
    """Named groups of the pattern."""
    clears: bool = False
    """Whether the line shows that earlier lines of the cause did no harm."""


def scan(path: Path, sieve: Sieve, *, last: int | None = None) -> list[Hit]:
    """Return the lines that name causes, in order: of many that are alike the first and the last.

    Args:
        path: the file; one that cannot be read has none.
        sieve: which lines to try.
        last: how many bytes of the file's end to read; all otherwise.
    """
    try:
        with path.open("rb") as file:
            return _Kept(sieve).read(file, last)
    except OSError:
        return []


class _Kept:
    def __init__(self, sieve: Sieve) -> None:
        self._sieve = sieve
        self._first: dict[tuple[str, bytes], list[Hit]] = {}
        self._last: dict[tuple[str, bytes], deque[Hit]] = {}
        self._tried: Counter[bytes | tuple[Cause, ...]] = Counter()
        self._shapes: Counter[str] = Counter()

    def read(self, file: BinaryIO, last: int | None) -> list[Hit]:
        size = file.seek(0, 2)
        begin = max(0, size - last) if last is not None else 0
        file.seek(begin)
        wraps = size - begin <= _SMALL
        number = 1
        for offset, block in _blocks(file, begin):
            self._read_block(block, offset, number, wraps)
            number += block.count(b"\n")
        kept = [*self._first.values(), *self._last.values()]
        return sorted((hit for hits in kept for hit in hits), key=lambda hit: hit.offset)

    def _read_block(self, block: bytes, offset: int, number: int, wraps: bool) -> None:
        shapes = shape(block).split(b"\n")
        worth = self._sieve.worth_trying(shapes)
        if not worth and not wraps:
            return
        lines = block.replace(b"\r", b"\n").split(b"\n")
        latest: dict[bytes | tuple[Cause, ...], int] = {}
        for place, one in enumerate(shapes):
            if one in worth:
                latest[one] = latest[worth[one]] = place
        at = begin = passed = 0
        for place, one in enumerate(shapes):
            causes = worth.get(one, ())
            tries = bool(causes) and self._is_worth(one, causes, place, latest)
            if not tries and not wraps:
                continue
            end = begin + sum(len(line) + 1 for line in lines[at:place])
            passed += block.count(b"\n", begin, end)
            at, begin = place, end
            where = (number + passed, offset + begin)
            found = tries and self._try(lines[place], causes, one, *where)
            if wraps and not found and place + 1 < len(lines):
                self._try_wrapped(lines[place], lines[place + 1], *where)

    def _is_worth(
        self,
        one: bytes,
        causes: tuple[Cause, ...],
        place: int,
        latest: dict[bytes | tuple[Cause, ...], int],
    ) -> bool:
        """Tell whether to try a line; of those seen often only the last of a block."""
        self._tried[causes] += 1
        if self._tried[causes] >= _MANY:
            return latest[causes] == place
        self._tried[one] += 1
        return self._tried[one] < _OFTEN or latest[one] == place

    def _try(
        self, line: bytes, causes: tuple[Cause, ...], one: bytes, number: int, offset: int
    ) -> bool:
        found = False
        for said in read_line(line):
            for cause in causes:
                if any(pattern.search(said.text) for pattern in cause.cleared_by):
                    self._keep(Hit(cause, said, number, offset, {}, clears=True), one)
                    continue
                match = cause.search(said.text)
                if match is not None:
                    groups = {name: text for name, text in match.groupdict().items() if text}
                    self._keep(Hit(cause, said, number, offset, groups), one)
                    found = True
                    break
        return found

    def _try_wrapped(self, line: bytes, below: bytes, number: int, offset: int) -> None:
        """Try a line with the one below it, where a terminal may have broken one into two."""
        line, below = line.rstrip(), below.strip()
        if len(line) < _NARROWEST or not below:
            return
        for glue in (b"", b" "):
            whole = line + glue + below
            causes = self._sieve.worth_trying([one := shape(whole)]).get(one, ())
            for said in read_line(whole) if causes else ():
                seam = len(said.text) - len(below.decode("utf-8", errors="replace"))
                for cause in causes:
                    match = cause.search(said.text)
                    if match is None or cause.kind in _UNWRAPPED:
                        continue
                    if match.start() < seam < match.end():
                        self._keep(Hit(cause, said, number, offset, {}), one)
                        return

    def _keep(self, hit: Hit, one: bytes) -> None:
        code = hit.cause.code
        key = code, one
        if key not in self._first:
            self._shapes[code] += 1
            key = (code, one if self._shapes[code] < _SHAPES else b"")
        first = self._first.setdefault(key, [])
        if len(first) < _FIRST:
            first.append(hit)
        else:
            self._last.setdefault(key, deque(maxlen=_LAST)).append(hit)


def _blocks(file: BinaryIO, offset: int) -> Iterator[tuple[int, bytes]]:
    """Give blocks of whole lines, with where they begin."""
    rest = b""
    while piece := file.read(_BLOCK):
        rest += piece
        end = rest.rfind(b"\n") + 1
        if not end and len(rest) < _LONGEST:
            continue
        end = end or len(rest)
        yield offset, rest[:end]
        offset += end
        rest = rest[end:]
    if rest:
        yield offset, rest
