"""What a program's own exception outweighs: a command of the script that failed, a lost peer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.event import Event

_LOST = re.compile(r"Connection|Time(d )?-?out|Socket|Broken pipe|NCCL|[Gg]loo|[Rr]endezvous")
_COMMAND = re.compile(r"^(?![^:]*(Error|Exception))[a-z][\w./-]*: ")  # `cat: x: No such file`


def is_slight(event: Event, events: Sequence[Event]) -> bool:
    """Tell whether a line is outweighed by an exception, as one of the shell's commands is.

    Of a script's modules and environments the program's own exceptions may be a consequence.
    """
    cause = event.cause
    is_light = cause.is_often_harmless or cause.sure != "high"
    is_raised = event.frames and _COMMAND.search(event.text) is None
    if cause.kind != "root" or is_raised or not is_light:
        return False
    prepares = cause.is_often_harmless and cause.cleared_by
    kinds = ("root",) if prepares else ("root", "error")
    return any(
        other.frames
        and other.cause.kind in kinds
        and other.code != event.code
        and event.code not in other.cause.yields_to
        and not (other.survived or other.is_warning)
        and _LOST.search(other.text) is None
        for other in events
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
