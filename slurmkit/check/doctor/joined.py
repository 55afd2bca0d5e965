"""Jobs that wait for ranks which never come: no line says so but those that count the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slurmkit.check.doctor.cause import by_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.event import Event

_FEWER = "D02"


def too_few(events: Sequence[Event]) -> list[Event]:
    """Return the last count of processes as an event of its own, where some never came."""
    counted = [event for event in events if event.cause.kind == "joined"]
    if not counted or any(event.survived or event.code == _FEWER for event in events):
        return []
    last = max(counted, key=lambda event: event.count)
    if last.count >= last.world:
        return []
    return [replace(last, cause=by_code()[_FEWER], rank=None)]
