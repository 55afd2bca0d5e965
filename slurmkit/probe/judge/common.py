"""What several judges say alike: checks that gave no answer, figures, lists of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..facts import Facts
from .finding import Column, Finding

_SHOWN = 5
_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")
_BITS = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")


def usable(facts: Facts, column: Column, check: str, *, grave: bool = True) -> dict[int, Any]:
    """Return what nodes say of a check; those whose check hung or failed get their finding."""
    fine = {}
    for node, said in facts.of(check).items():
        name = column.check
        if isinstance(said, dict) and set(said) == {"timeout"}:
            what = f"the check of {name} was not done in {plain(said['timeout'])} s"
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
    return _with_unit(8 * rate, _BITS)


def size(count: float) -> str:
    """Return bytes as disks count: `1.2 TB`."""
    return _with_unit(count, _BYTES)


def as_asked(count: int) -> str:
    """Return bytes as people ask for memory: `500G`, by powers of 1024, and all of them."""
    for power, unit in ((40, "T"), (30, "G"), (20, "M"), (10, "K")):
        if count and count % (1 << power) == 0:
            return f"{count >> power}{unit}"
    return size(count)


def plain(value: float) -> str:
    """Return a number in three digits, and never with an exponent."""
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e+" in text else "0" if "e-" in text else text


def counted(count: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def _with_unit(value: float, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        if value < 999.5:
            return f"{plain(value) if unit != units[0] else f'{value:.0f}'} {unit}"
        value /= 1000
    return f"{plain(value)} {units[-1]}"
