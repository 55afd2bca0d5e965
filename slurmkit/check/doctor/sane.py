"""The last lines of a job that died without a word on why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.check.doctor.event import Event, Line, Log
from slurmkit.check.doctor.lines import read_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST = 64 << 10
_LINES = 5


def last_sane_lines(
    logs: Sequence[Log], events: Sequence[Event], rank: int | None = None
) -> list[Line]:
    """Return the last lines before the first complaint, or the last of the first file.

    Those of a rank, where it is named and the lines say whose they are.
    """
    trouble = sorted((event for event in events if event.place[0] < len(logs)), key=_place)
    number = trouble[0].place[0] if trouble else 0
    if number >= len(logs):
        return []
    path = logs[number].path
    end = trouble[0].place[1] if trouble else None
    above = _lines(logs[number], end, rank)
    if not above and trouble:
        return [event.line for event in trouble[:_LINES]]
    return [Line(str(path), line, text) for line, text in above]


def _place(event: Event) -> tuple[int, int]:
    return event.place


def _lines(log: Log, end: int | None, rank: int | None) -> list[tuple[int, str]]:
    try:
        with log.path.open("rb") as file:
            size = file.seek(0, 2)
            end = size if end is None else min(end, size)
            start = max(0, end - _LAST)
            number = 1 + _breaks(log, start)
            file.seek(start)
            data = file.read(end - start)
    except OSError:
        return []
    found = [
        (number + at, said)
        for at, raw in enumerate(data.split(b"\n"))
        for said in read_line(raw)[-1:]
    ]
    own = [one for one in found if rank is not None and one[1].rank == rank]
    return [(line, said.shown) for line, said in (own or found)[-_LINES:]]


def _breaks(log: Log, end: int) -> int:
    count = 0
    with log.path.open("rb") as file:
        while end > 0 and (block := file.read(min(end, 1 << 20))):
            count += block.count(b"\n")
            end -= len(block)
    return count
