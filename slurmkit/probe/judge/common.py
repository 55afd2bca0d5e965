"""What several judges say alike: checks that gave no answer, figures, lists of nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..facts import Facts
from .finding import Column, Finding

_SHOWN = 5


def usable(facts: Facts, column: Column, check: str, *, grave: bool = True) -> dict[int, Any]:
    """Return what nodes say of a check; those whose check hung or failed get their finding."""
    fine = {}
    for node, said in facts.of(check).items():
        name = column.check
        if isinstance(said, dict) and set(said) == {"timeout"}:
            what = f"the check of {name} was not done in {said['timeout']:.3g} s"
            fix = "look there by hand: a file system, a name server or a driver that hangs"
            severity = "error" if grave else "warning"
            blame = (node,) if len(facts.of(check)) > 1 else ()
            column.add(Finding("no-answer", node, what, fix, "", severity, blame), "hangs")
        elif isinstance(said, dict) and set(said) == {"error"}:
            what = f"the check of {name} failed"
            fix = "see the reason; the check itself may not fit that system"
            column.add(
                Finding("check-failed", node, what, fix, str(said["error"]), "warning"), "failed"
            )
        else:
            fine[node] = said
    return fine


def several(names: Iterable[str]) -> str:
    """Return a list of names for people, cut where it is long."""
    every = list(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def per_second(rate: float) -> str:
    """Return bytes a second as networks count: `9.4 Gbit/s`."""
    bits = 8 * rate
    return f"{bits / 1e9:.2g} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:.3g} Mbit/s"


def size(count: float) -> str:
    """Return bytes as disks count: `1.2 TB`."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
