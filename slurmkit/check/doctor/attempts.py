"""Where the last attempt begins in the log of a rank, which a requeued job goes on with."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from slurmkit.check.doctor.lines import read_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.event import Event, Log

_REQUEUED = re.compile(r"DUE TO (PREEMPTION|JOB REQUEUE)")
_AGAIN = 60.0  # seconds behind the end of an attempt: what is raised then, another has raised
_LARGEST = 4 << 20


def last_start(log: Log) -> int:
    """Return where the first line of a log stands for the last time; -1 where that tells nothing.

    Each attempt begins with the same line. One that is there more often than the job was started
    is no beginning.
    """
    try:
        if log.path.stat().st_size > _LARGEST:
            return -1
        data = log.path.read_bytes()
    except OSError:
        return -1
    first = b""
    found: list[int] = []
    at = 0
    for raw in data.split(b"\n"):
        first = first or (raw if _text(raw) else b"")
        if first and len(raw) == len(first) and _text(raw) == _text(first):
            found.append(at)
        at += len(raw) + 1
    return found[-1] if 1 < len(found) <= log.attempts else -1


def start_behind(log: Log, ends: Sequence[Event]) -> int:
    """Return where the output of a job begins again behind an end of Slurm's; -1 where nowhere."""
    start = last_start(replace(log, attempts=len(ends) + 1)) if ends else -1
    return start if ends and start > ends[0].place[1] else -1


def without_past_ends(events: Sequence[Event], state: str | None) -> list[Event]:
    """Return events less the preemptions behind which a later attempt raised an exception.

    It is a later one by its time, or because Slurm says that the job FAILED in the end.
    """
    raised = [event for event in events if event.frames and event.cause.kind in ("root", "error")]
    return [
        event
        for event in events
        if not _REQUEUED.search(event.text)
        or not any(_is_of_later(other, event, state) for other in raised)
    ]


def _is_of_later(raised: Event, end: Event, state: str | None) -> bool:
    if raised.survived or raised.place[0] != end.place[0] or raised.place < end.place:
        return False
    times = raised.seconds, end.seconds
    is_later = None not in times and (times[0] or 0.0) - (times[1] or 0.0) > _AGAIN
    return is_later or state == "FAILED"


def _text(raw: bytes) -> str:
    """Return what a line says, without the time before it."""
    return " ".join(said.text for said in read_line(raw))
