"""Of ranks that waited in vain: the one that they waited for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.event import Event

_NUMBER = re.compile(r"SeqNum=(\d{1,18})")
_WORLD = re.compile(r"(?i)world_?size[= ]+(\d{1,6})")
_BARRIER = "failed to pass monitoredBarrier"  # rank 0 says so of another
_FEWEST = 2  # ranks that complain, before a silent one means something


def rank_that_is_missing(event: Event, events: Sequence[Event]) -> int | None:
    """Return the rank that did not come to a collective; that of the event where nothing tells.

    It is the one that a barrier names, or the only one without a complaint; or else the one that
    waits at an earlier collective.
    """
    alike = [other for other in events if other.code == event.code and other.rank is not None]
    if (named := next((one for one in alike if _BARRIER in one.text), None)) is not None:
        return named.rank
    ranks = {other.rank for other in alike if other.rank is not None}
    if len(ranks) < _FEWEST:
        return event.rank
    worlds = [int(match[1]) for other in alike if (match := _WORLD.search(other.text))]
    world = max([max(ranks) + 1, *worlds[:1]])
    silent = [rank for rank in range(min(world, 1 << 16)) if rank not in ranks]
    if len(silent) == 1:
        return silent[0]
    at = {other.rank: int(match[1]) for other in alike if (match := _NUMBER.search(other.text))}
    if len(set(at.values())) > 1 and not silent:
        return min(at, key=lambda rank: at[rank])
    return event.rank
