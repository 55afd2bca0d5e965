"""Untangles cause and effect: of all lines that complain, which one tells of the first cause.

A rank that fails makes all others complain, often louder and sometimes earlier in the file. What
decides is first the part that a line has in a death (see `Kind`), then its time.
"""

from __future__ import annotations

import re
from math import floor
from typing import TYPE_CHECKING

from slurmkit.check.doctor.chained import last_of_chain
from slurmkit.check.doctor.slight import outweighs, without_slight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.event import Event
    from slurmkit.check.doctor.reports import Failed

_MOST = 4  # findings: the verdict, and what else is worth knowing
_ABORTED = re.compile(r"SIGABRT|[Ss]ignal:? 6\b|-6\b|Aborted|code(?: *:)? 134\b")
_FAILED = re.compile(
    r"ChildFailedError|exit(ed with exit)? code:? [1-9]|exitcode ?: -?[1-9]|exit status [1-9]"
)
_LEAVING = re.compile(r"\[W\S* .*(TCPStore|ProcessGroupNCCL)\.cpp")  # also at a good end
_TELLING = ("first", "root", "error", "end", "killed")
_BY_ITSELF = re.compile(
    r"srun: error: .*: tasks? [\d,-]+: "
    r"(?!Terminated|Killed|Exited with exit code (?:0|13[07]|143)\b)[A-Z]"
)
_AT_ONCE = 2.0  # seconds within which clocks and buffers may turn the order around
_LATE = 60.0  # seconds after which something definite is no longer the cause of a time-out
_LONG = 30.0  # seconds for which a job was dead before Slurm ended it


def in_order(events: Sequence[Event], first: Failed | None = None) -> list[Event]:
    """Return the verdict, and other causes that were named; nothing where no line names one.

    Args:
        events: all lines that name a cause, of the last attempt.
        first: the rank that failed first, as a launcher has it.
    """
    pasted = [event for event in events if not event.in_prose]
    return _in_order(pasted, first) or _in_order(events, first)


def _in_order(events: Sequence[Event], first: Failed | None) -> list[Event]:
    if any(event.cause.kind in _TELLING and _counts(event) for event in events):
        events = [event for event in events if not event.is_warning]
    verdict = _verdict(events, first)
    if verdict is None:
        return []
    others = {}
    for kind in ("first", "root", "end", "error", "stall", "killed", "cancel"):
        for event in _of(events, kind):
            if event.code != verdict.code and event.code not in others:
                others[event.code] = event
    return [verdict, *others.values()][:_MOST]


def is_failure(event: Event) -> bool:
    """Tell whether a line says that a process failed, though not why."""
    is_aftermath = event.cause.kind == "aftermath" and not event.survived
    return is_aftermath and _LEAVING.search(event.line.text) is None


def is_sign(event: Event) -> bool:
    """Tell whether a line is a sign of a failure, though not sure, and not why."""
    return is_failure(event) or (event.cause.kind == "trace" and not event.survived)


def _verdict(events: Sequence[Event], first: Failed | None) -> Event | None:
    events = without_slight(events)
    if (found := _earliest(_of(events, "first"), first)) is not None:
        return found
    definite = _definite(events, first)
    waited = _yielding(_earliest(_of(events, "stall"), first), events)
    if waited is not None and definite is not None:
        slack = _LATE if definite.cause.kind == "root" else _AT_ONCE
        if _by_time(waited, definite, slack) and not outweighs(definite, waited):
            definite = waited
    died = _killed(events, first)
    if definite is not None and _outlived(definite, died, first):
        definite = None
    found = definite or _first_of(died, waited)
    if (end := _earliest(_of(events, "end"), None)) is not None:
        return found if found is not None and _was_dead(found, end, events) else end
    cancel = _earliest(_of(events, "cancel"), first)
    if cancel is not None and (found is None or not _precedes(found, cancel)):
        if not _had_failed(cancel, events):
            return cancel
        found = None if found is None or _precedes(cancel, found) else found
    if found is not None:
        return found
    left = [e for e in events if e.survived and e.cause.kind in ("root", "error", "stall")]
    if any(map(is_failure, events)) and left:
        return left[-1]
    return _earliest(_of(events, "hint"), None)


def _definite(events: Sequence[Event], first: Failed | None) -> Event | None:
    """Return the first of what is certainly no consequence: a definite cause, or an exception."""
    root = _yielding(_earliest(_of(events, "root"), first), events)
    raised = last_of_chain(_earliest(_of(events, "error"), first), events)
    if root is None or raised is None:
        return root or raised
    if root.chain == raised.chain and root.place[0] == raised.place[0]:
        return root
    other = root.rank is not None and raised.rank is not None and root.rank != raised.rank
    if other and _by_time(raised, root, _AT_ONCE):
        return raised
    return root


def _killed(events: Sequence[Event], first: Failed | None) -> Event | None:
    died = _of(events, "killed")
    hard = [event for event in died if not _ABORTED.search(event.text)]
    if hard:
        apart = [event for event in events if event.cause.kind != "stall"]
        return _yielding(_earliest(hard, first), apart)
    return None if _of(events, "stall") else _earliest(died, first)


def _outlived(raised: Event, died: Event | None, first: Failed | None) -> bool:
    """Tell whether a rank trained on behind an exception, and another thing ended the job."""
    if raised.cause.kind != "error" or not raised.trained_on:
        return False
    failed = first.rank if first is not None else None
    if failed not in (None, raised.rank):
        return True
    return died is not None and raised.rank == (failed if died.rank is None else died.rank)


def _first_of(died: Event | None, waited: Event | None) -> Event | None:
    """Of a process that died and one that waited, the latter where it surely came first."""
    if died is None or waited is None:
        return died or waited
    return waited if _by_time(waited, died, _AT_ONCE) else died


def _was_dead(found: Event, end: Event, events: Sequence[Event]) -> bool:
    """Tell whether a job had failed long before Slurm ended it."""
    if found.written is not None and end.written is not None:
        return end.written - found.written > _LONG
    if not _precedes(found, end):
        return False
    if found.cause.kind == "stall" and found.world:  # ranks that never came
        return True
    seconds = found.seconds, end.seconds
    if None not in seconds and (seconds[1] or 0) - (seconds[0] or 0) < _LONG:
        return False
    if found.cause.kind in ("root", "killed"):
        return True
    return any(
        _FAILED.search(event.text) and not _precedes(event, found) and _precedes(event, end)
        for event in events
        if event.cause.kind in ("aftermath", "killed")
    )


def _counts(event: Event) -> bool:
    return not (event.survived or event.is_warning)


def _had_failed(cancel: Event, events: Sequence[Event]) -> bool:
    """Tell whether a task had failed by itself, so that srun ended the others."""
    return any(
        _precedes(event, cancel)
        and (event.cause.kind == "killed" or _BY_ITSELF.search(event.text) is not None)
        for event in events
        if event.cause.kind in ("aftermath", "killed")
    )


def _of(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event.cause.kind == kind and not event.survived]


def _yielding(event: Event | None, events: Sequence[Event]) -> Event | None:
    """Return what explains a cause, where that is told too."""
    seen: set[str] = set()
    while event is not None and event.code not in seen:
        seen.add(event.code)
        better = [e for e in events if e.code in event.cause.yields_to and not e.survived]
        event = min(better, key=lambda e: e.place) if better else event
    return event


def _earliest(events: Sequence[Event], first: Failed | None) -> Event | None:
    """Return the earliest by time; where no times are known, that of the rank that failed first."""
    if not events:
        return None
    ordered = sorted(events, key=lambda event: event.place)
    if first is not None and first.rank is not None:
        own = [event for event in ordered if event.rank == first.rank]
        if own and not any(_by_time(event, own[0], _AT_ONCE) for event in ordered):
            return own[0]
    best = ordered[0]
    for event in ordered[1:]:
        if _by_time(event, best, 0.0):
            best = event
    return best


def _by_time(one: Event, other: Event, slack: float) -> bool:
    """Tell whether one surely came before the other."""
    if one.stamp is not None and other.stamp is not None:
        times = one.stamp.seconds, other.stamp.seconds
        if one.stamp.is_whole or other.stamp.is_whole:
            times = floor(times[0]), floor(times[1])
        if times[0] != times[1]:
            return times[0] + slack < times[1]
    return one.place[0] == other.place[0] and one.place < other.place


def _precedes(one: Event, other: Event) -> bool:
    return _by_time(one, other, 0.0)
