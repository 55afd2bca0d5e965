"""The events of a job: the lines that name causes, of the last attempt, with all that is known."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from slurmkit.check.doctor.attempts import last_start, start_behind
from slurmkit.check.doctor.event import Event, Line, Log
from slurmkit.check.doctor.near import Nearby
from slurmkit.check.doctor.prose import prose_spans
from slurmkit.check.doctor.raised import by_frame, with_raised
from slurmkit.check.doctor.scan import Hit, scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.sieve import Sieve

_RAISED = ("error", "root")
_LOOKED_AT = 8  # lines of one cause and rank in a file around which is looked
_LONGEST = 500  # characters of a line, as evidence
_BEFORE = 100  # of them before what tells
_OF_RANK = re.compile(r"rank[_-]?(\d{1,5})(?!\d)")
_RANK = re.compile(r"\[[Rr]ank (\d{1,5})\]|\brank:? (\d{1,5})\b")
_WARNING = re.compile(r"\[W(?:\d{3,8})? |\bW\d{3,8} \d\d:|(?<!NCCL )\bWARN(?:ING)?\b")
_NODE = re.compile(
    r"\b(?:STEP|JOB) \S+ ON (?P<a>[\w.-]+)|srun: error: (?P<b>[\w.-]+): tasks?|"
    r"Node failure on (?P<c>[\w.-]+)"
)


def gather(logs: Sequence[Log], sieve: Sieve, *, last: int | None = None) -> list[Event]:
    """Read files, and return what in them names a cause, each file's lines in order."""
    found: list[Event] = []
    said: set[tuple[int | None, str]] = set()
    is_whole = False
    for number, log in enumerate(logs):
        near = Nearby(log.path, _latest(log))
        unquoted = _unquoted(scan(log.path, sieve, last=last), near)
        every = _uncleared(with_raised(unquoted, near))
        hits = _of_last_attempt(every)
        events = _events(number, log, hits, near)
        if is_whole and log.rank is not None:
            # The job's output has these lines too, in the order in which they came.
            found = _ended(found, events)
            events = [event for event in events if (event.rank, event.text) not in said]
        elif number == 0:
            said = {(event.rank, event.text) for event in (_event(0, log, hit) for hit in every)}
            is_whole = _holds_ranks(hits)
        found += events
    return found


def _ended(found: list[Event], own: list[Event]) -> list[Event]:
    """Return events of the whole output, with what the log of a rank tells of when it ended."""
    times = {(event.rank, event.text): event.written for event in own if event.written}
    return [
        replace(event, written=times[event.rank, event.text])
        if event.cause.kind != "end" and (event.rank, event.text) in times
        else event
        for event in found
    ]


def _unquoted(hits: list[Hit], near: Nearby) -> list[Hit]:
    """Return hits less the lines of source that a traceback quotes."""
    return [hit for hit in hits if not near.is_quoted(hit.offset, hit.number, hit.said)]


def _uncleared(hits: list[Hit]) -> list[Hit]:
    cleared: dict[str, int] = {}
    for hit in hits:
        if hit.clears:
            cleared[hit.cause.code] = hit.offset
    return [
        hit
        for hit in hits
        if not hit.clears
        and hit.cause.kind != "noise"
        and hit.offset > cleared.get(hit.cause.code, -1)
    ]


def _of_last_attempt(hits: list[Hit]) -> list[Hit]:
    begin = max((hit.offset for hit in hits if hit.cause.kind == "start"), default=-1)
    return [hit for hit in hits if hit.offset > begin]


def _holds_ranks(hits: list[Hit]) -> bool:
    return any(hit.said.rank is not None for hit in hits)


def _events(number: int, log: Log, hits: list[Hit], near: Nearby) -> list[Event]:
    prose = prose_spans(log.path) if log.rank is None else ()
    looked: Counter[tuple[str, int | None]] = Counter()
    events = []
    for hit in hits:
        event = _event(number, log, by_frame(hit, near))
        looked[event.code, event.rank] += 1
        if looked[event.code, event.rank] <= _LOOKED_AT:
            event = _looked_around(event, hit, near)
            if near.is_ignored(event.chain):
                continue
        if any(hit.number in span for span in prose):
            event = replace(event, in_prose=True)
        events.append(event)
    events = _outlived(events, log, near)
    went_on = [event.place[1] for event in events if event.survived and event.cause.kind == "end"]
    begin = max(went_on, default=-1)  # the job was started again
    if log.rank is None:
        begin = max(begin, start_behind(log, [one for one in events if one.cause.kind == "end"]))
    if log.attempts > 1:  # each ended with one traceback of a rank at most
        begin = max(begin, *(event.chain - 1 for event in events if event.frames), -1)
        begin = max(begin, last_start(log))
    return [event for event in events if event.place[1] > begin]


def _outlived(events: list[Event], log: Log, near: Nearby) -> list[Event]:
    """Return events; of the exceptions of a rank, those behind which it trained on did no harm.

    That counts only where another follows: a thread may go on for a while.
    """
    return [_with_end(event, events, log, near) for event in events]


def _with_end(event: Event, events: list[Event], log: Log, near: Nearby) -> Event:
    if event.cause.kind == "end":
        return replace(event, written=last_written(log))
    if event.cause.kind not in _RAISED or event.rank is None or event.survived:
        return event
    rank = None if log.rank is not None else event.rank
    where = event.place[1], event.line.line
    later = (other.chain for other in events if _is_later(other, event))
    end = next(later, None)
    if near.trained_until(*where, end, rank):
        return replace(event, survived=end is not None, trained_on=True)
    is_last = log.rank is not None and near.is_last(*where, rank)
    return replace(event, written=last_written(log) if is_last else None)


def _is_later(other: Event, event: Event) -> bool:
    is_of_rank = other.cause.kind in _RAISED and other.rank == event.rank
    return is_of_rank and other.chain > event.place[1] and not other.survived


def last_written(log: Log) -> float | None:
    """Return when a file was written last; None where it cannot be told."""
    try:
        return log.path.stat().st_mtime
    except OSError:
        return None


def _event(number: int, log: Log, hit: Hit) -> Event:
    named = _NODE.search(hit.said.shown)
    node = named and next(filter(None, named.groups()), None)
    rank = _rank(hit, log)
    is_own = log.rank in (None, rank)  # and not what one rank says of another
    return Event(
        cause=hit.cause,
        line=Line(str(log.path), hit.number, _shown(hit, hit.said.shown)),
        place=(number, hit.offset),
        text=_shown(hit, hit.said.text),
        rank=rank,
        node=hit.groups.get("node") or node or (hit.said.node or log.node if is_own else None),
        chain=hit.offset,
        is_warning=_WARNING.search(hit.said.shown) is not None,
        count=int(hit.groups.get("count") or 0),
        world=int(hit.groups.get("world") or 0),
    )


def _shown(hit: Hit, text: str) -> str:
    """Return a line as evidence; of a long one the part that tells."""
    text = text.strip()
    match = hit.cause.search(text) if len(text) > _LONGEST else None
    if match is None or match.end() <= _LONGEST:
        return text[:_LONGEST]
    begin = max(0, match.start() - _BEFORE)
    return f"…{text[begin + 1 : begin + _LONGEST]}"


def _looked_around(event: Event, hit: Hit, near: Nearby) -> Event:
    where = hit.offset, hit.number, hit.said
    is_raised = event.cause.kind in ("error", "root")
    frames, chain = near.frames(*where) if is_raised else ((), hit.offset)
    is_chained = event.cause.kind == "error" and chain != hit.offset
    return replace(
        event,
        stamp=near.stamp(*where),
        frames=frames,
        chain=chain,
        is_caused=is_chained and near.is_caused(*where),
        survived=near.went_on(hit.offset, hit.number),
    )


def _rank(hit: Hit, log: Log) -> int | None:
    if (named := hit.groups.get("rank", "")).isdigit():
        return int(named)
    if hit.said.rank is not None:
        return hit.said.rank
    if log.rank is not None:
        return log.rank
    if (match := _RANK.search(hit.said.shown)) is not None:
        return int(match[1] or match[2])
    match = _OF_RANK.search(log.path.name)
    return int(match[1]) if match else None


def _latest(log: Log) -> datetime | None:
    try:
        return datetime.fromtimestamp(log.path.stat().st_mtime)
    except (OSError, ValueError, OverflowError):
        return None
