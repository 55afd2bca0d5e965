"""Of ranks that waited in vain: the one that they waited for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from slurmkit.check.doctor.event import Event

_NUMBER = re.compile(r"SeqNum=(\d{1,18})")
_WORLD = re.compile(r"(?i)world_?size[= ]+(\d{1,6})")
_NAMES = re.compile(  # one rank says so of another
    r"failed to pass monitoredBarrier|keys: /default_pg/\d+//\w+//\d+/\d+"
)
LOST = re.compile(r"(?i)connection (was )?(closed|reset)|remote (process|peer)|broken pipe")
_RENDEZVOUS = "D01"
_FEWEST = 2  # ranks that complain, before a silent one means something


def rank_that_is_missing(
    event: Event, events: Sequence[Event], known: Collection[int]
) -> int | None:
    """Return the rank that did not come to a collective; None where nothing tells.

    It is the one that a barrier names, or the only one without a complaint; or else the one that
    waits at an earlier collective. `known` are ranks that have logs of their own.
    """
    alike = [other for other in events if other.code == event.code and other.rank is not None]
    if (named := next((one for one in alike if _NAMES.search(one.text)), None)) is not None:
        return named.rank
    ranks = {other.rank for other in alike if other.rank is not None}
    worlds = [int(match[1]) for other in alike if (match := _WORLD.search(other.text))]
    world = max([*ranks, *known, -1]) + 1
    world = min(max([world, *worlds[:1]]), 1 << 16)
    lost = {one.rank for one in events if one.rank is not None and LOST.search(one.text)}
    for told in (ranks, ranks | lost if ranks and known else ranks):
        silent = [rank for rank in range(world) if rank not in told]
        if event.code == _RENDEZVOUS and silent != [0]:  # all look for rank 0: others may be well
            continue
        if len(silent) == 1 and (len(told) >= _FEWEST or set(known) == {0, 1}):
            return silent[0]
    if len(ranks) < _FEWEST:
        return None
    at = {other.rank: int(match[1]) for other in alike if (match := _NUMBER.search(other.text))}
    if len(set(at.values())) > 1 and not silent:
        return min(at, key=lambda rank: at[rank])
    return None
