"""Deaths that no line explains: whom the others lost, and the last that was said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slurmkit.check.doctor.cause import by_code
from slurmkit.check.doctor.event import Event, Line, Log
from slurmkit.check.doctor.sane import last_sane_lines
from slurmkit.check.doctor.sources import SIMULATION
from slurmkit.check.doctor.spoken import end_in_words
from slurmkit.check.doctor.stalled import LOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.reports import Failed, Reports

_LEFT = "D133"


def left_early(logs: Sequence[Log], events: Sequence[Event], reports: Reports) -> list[Event]:
    """Return the rank that ended without a word, and that the others lost, as an event.

    It is the only one without a complaint in its log, and no launcher says that it failed.
    """
    own = {log.rank: log for log in logs if log.rank is not None}
    lost = [event for event in events if event.rank in own and LOST.search(event.text)]
    silent = [rank for rank in own if all(event.rank != rank for event in events)]
    told = {one.rank for one in (*(reports.workers or reports.tasks), reports.simulated) if one}
    if not lost or len(silent) != 1 or silent[0] in told:
        return []
    log = own[silent[0]]
    said = last_sane_lines([log], [])
    line = said[-1] if said else lost[0].line
    return [Event(by_code()[_LEFT], line, (len(logs), 0), line.text, log.rank, log.node)]


def last_word(logs: Sequence[Log], events: Sequence[Event], rank: int | None) -> Line | None:
    """Return the last line of a rank of which no line complains; None where it has no log."""
    if rank is None or any(event.rank == rank for event in events):
        return None
    return next(iter(last_sane_lines([log for log in logs if log.rank == rank], [])[-1:]), None)


def last_lines(logs: Sequence[Log], events: Sequence[Event], first: Failed | None) -> list[Line]:
    """Return what was said before the trouble, by the rank that failed first where it is known."""
    rank = first.rank if first is not None else None
    found: list[Line] = []
    for log in logs if rank is not None else ():
        if log.rank == rank:
            own = [event for event in events if event.line.file == str(log.path)]
            sane = last_sane_lines([log], [replace(one, place=(0, one.place[1])) for one in own])
            said = [one.line for one in own if one.cause.kind != "trace"]
            found = [*sane, *(line for line in said[:1] if line not in sane)]
    ends = [log for log in logs if log.path.name == SIMULATION]
    told = [end_in_words(line) for line in last_sane_lines(ends, [])[-1:]] if ends else []
    return [*(found or last_sane_lines(logs, events, rank)), *told]
