"""What a traceback ends with: exceptions whose names no pattern knows, and those of workers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from slurmkit.check.doctor.cause import by_code
from slurmkit.check.doctor.near import FRAME, TRACEBACK, Nearby, Row
from slurmkit.check.doctor.scan import Hit

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"(?:(?:[A-Za-z_]\w*|<\w+>)\.)+[A-Za-z_]\w*(?::\s|:?$)|[A-Z_]\w*(?::\s|:?$)")
_WARNING = re.compile(r"[\w.]*Warning: ")  # an error, under python -W error
_CAUGHT = re.compile(r"Caught \w+ in (?:DataLoader worker|pin memory|replica)")
_OF_WORKER = "Original " + TRACEBACK
_MOST = 400  # lines of a traceback


def with_raised(hits: Sequence[Hit], near: Nearby) -> list[Hit]:
    """Return hits, and the ends of tracebacks that none of them names, as exceptions.

    Of an exception that a data-loader worker handed on, the worker's own counts.
    """
    named = {hit.offset: hit for hit in hits}
    found = list(hits)
    for hit in hits:
        if hit.cause.kind != "trace" or (row := _raised(hit, near)) is None:
            continue
        known = named.get(row.offset)
        if known is None or (known.cause.kind == "noise" and _WARNING.match(row.said.text)):
            found = [one for one in found if one is not known]
            found.append(Hit(by_code()["D50"], row.said, row.number, row.offset, {}))
        if _OF_WORKER in hit.said.text:
            found = [one for one in found if not _hands_on(one, hit)]
    return sorted(found, key=lambda hit: hit.offset)


def by_frame(hit: Hit, near: Nearby) -> Hit:
    """Return a hit as that of a cause that is known by where an exception was raised."""
    for cause in by_code().values() if hit.cause.kind == "error" else ():
        for line, frame in cause.raised_in:
            if line.search(hit.said.text) and frame.search(near.innermost(hit.offset, hit.number)):
                return replace(hit, cause=cause)
    return hit


def _raised(hit: Hit, near: Nearby) -> Row | None:
    """Return the line below the frames of a traceback; None where it is cut off."""
    deep = _indent(hit.said.text)
    is_framed = False
    for count, row in enumerate(near.below(hit.offset, hit.number)):
        text = row.said.text
        if row.said.rank != hit.said.rank:
            continue
        if count > _MOST or TRACEBACK in text:
            return None
        if _indent(text) > deep:
            is_framed = is_framed or FRAME.match(text) is not None
            continue
        return row if is_framed and _NAME.match(text.strip()) else None
    return None


def _hands_on(one: Hit, worker: Hit) -> bool:
    """Tell whether a line repeats what is raised by the worker whose traceback follows."""
    is_near = 0 < worker.number - one.number <= 2
    return is_near and _CAUGHT.search(one.said.text) is not None


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
