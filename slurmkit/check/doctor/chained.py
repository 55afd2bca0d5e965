"""Exceptions that were raised from others: which of a chain says most."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.event import Event

_PLAIN = "D50"  # of which nothing more is known
_SAYS_LITTLE = re.compile(
    r"(?i)^[\w.]+$|:\s*$|\b(error|exception) (has )?(occurred|raised)\b"
    r"|\b(see|look at) (the )?(above|previous)|\bfailed to (import|execute|run)\b"
    r"|(following|previous|underlying|original) (error|exception)"
)


def last_of_chain(raised: Event | None, events: Sequence[Event]) -> Event | None:
    """Return the exception that was raised from another, where it says more to people.

    Of one that is known for something (a missing file, shapes that do not fit) that stays the word.
    """
    while raised is not None and raised.code == _PLAIN:
        outer = next((one for one in events if _is_from(one, raised)), None)
        if outer is None or _SAYS_LITTLE.search(outer.text) or _words(outer) in raised.text:
            break
        raised = outer
    return raised


def cause_of(raised: Event, events: Sequence[Event]) -> Event | None:
    """Return the first exception of the chain at whose end another stands; None of any other."""
    if not raised.is_caused:
        return None
    chain = (one for one in events if one.chain == raised.chain and one.frames)
    above = [one for one in chain if one.place < raised.place and one.place[0] == raised.place[0]]
    return min(above, key=lambda one: one.place, default=None)


def _is_from(one: Event, raised: Event) -> bool:
    is_of_chain = one.chain == raised.chain and one.place[0] == raised.place[0]
    return is_of_chain and one.is_caused and one.place > raised.place and not one.survived


def _words(event: Event) -> str:
    return event.text.partition(": ")[2] or event.text
