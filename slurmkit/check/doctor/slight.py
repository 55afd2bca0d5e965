"""What a program's own exception outweighs: a command of the script that failed, a lost peer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.event import Event

_LOST = re.compile(r"Connection|Time(d )?-?out|Socket|Broken pipe|NCCL|[Gg]loo|[Rr]endezvous")
_COMMAND = re.compile(r"^(?![^:]*(Error|Exception))[a-z][\w./-]*: ")  # `cat: x: No such file`


def without_slight(events: Sequence[Event]) -> list[Event]:
    """Return lines less those that are outweighed by an exception, as the shell's commands are."""
    raised = [
        event
        for event in events
        if event.frames
        and event.cause.kind in ("root", "error")
        and not (event.survived or event.is_warning)
        and _LOST.search(event.text) is None
    ]
    return [event for event in events if not (raised and _is_slight(event, raised))]


def _is_slight(event: Event, raised: Sequence[Event]) -> bool:
    """Tell whether one of the exceptions counts for more.

    Of a script's modules and environments the program's own exceptions may be a consequence.
    """
    cause = event.cause
    is_light = cause.is_often_harmless or cause.sure != "high"
    is_raised = event.frames and _COMMAND.search(event.text) is None
    if cause.kind != "root" or is_raised or not is_light:
        return False
    prepares = cause.is_often_harmless and cause.cleared_by
    return any(
        other.code != event.code
        and event.code not in other.cause.yields_to
        and not (prepares and other.cause.kind == "error")
        for other in raised
    )


def outweighs(raised: Event, waited: Event) -> bool:
    """Tell whether another rank's exception counts for more than an unsure sign of waiting.

    Where no times are known: which of two ranks wrote first into a file says little.
    """
    if waited.cause.sure == "high" or not raised.frames or _LOST.search(raised.text):
        return False
    if None in (raised.rank, waited.rank) or raised.rank == waited.rank:
        return False
    return raised.stamp is None or waited.stamp is None
