"""Names and clocks: every node finds every other by its name, and they agree on the time."""

from __future__ import annotations

from typing import Any

from ..facts import Facts, Interval
from .common import plain, several, usable
from .finding import Column, Finding

_APART = 1.0  # seconds


def names(facts: Facts) -> Column:
    """Judge what each node's resolver says of the others."""
    column = Column("names")
    said = usable(facts, column, "names")
    numbers = {node.address: number for number, node in enumerate(facts.settings.nodes)}
    failing = _failing(said, numbers)
    for target, who in failing.items():
        if len(who) == len(facts.heard) or target in who:
            _nowhere(facts, column, target, who, said)
        else:
            for node in sorted(who):
                _not_here(facts, column, node, target, said)
    for node, found in said.items():
        _wrong(facts, column, node, found, numbers)
    if not facts.settings.local:
        _own_name(facts, column)
    for node in said:
        column.fine(node)
    return column


def _failing(said: dict[int, Any], numbers: dict[str, int]) -> dict[int, set[int]]:
    """Return for each node whose name is not resolved, by whom."""
    failing: dict[int, set[int]] = {}
    for node, found in said.items():
        for address, outcome in found.items():
            if isinstance(outcome, dict) and address in numbers:
                failing.setdefault(numbers[address], set()).add(node)
    return failing


def _why(outcome: dict[str, Any]) -> str:
    late = f"no answer from the name server in {outcome.get('timeout', 0):.3g} s"
    return str(outcome.get("error") or late)


def _nowhere(
    facts: Facts, column: Column, target: int, who: set[int], said: dict[int, Any]
) -> None:
    address = facts.settings.nodes[target].address
    some = sorted(who)[0]
    what = f"its name {address} is not resolved on {several(facts.name(n) for n in sorted(who))}"
    fix = "have it in DNS or /etc/hosts of every node; a network suffix in the profile must exist"
    evidence = f"getaddrinfo({address!r}) on {facts.name(some)}: {_why(said[some][address])}"
    blame = (target,) if len(facts.settings.nodes) > 1 else ()
    column.add(Finding("name-unresolved", target, what, fix, evidence, blame=blame), "unresolved")


def _not_here(facts: Facts, column: Column, node: int, target: int, said: dict[int, Any]) -> None:
    address = facts.settings.nodes[target].address
    what = f"does not resolve {address}, which other nodes do"
    fix = "mend /etc/hosts or /etc/resolv.conf there"
    evidence = f"getaddrinfo({address!r}): {_why(said[node][address])}"
    column.add(
        Finding("name-unresolved", node, what, fix, evidence, blame=(node,)),
        f"no {facts.name(target)}",
    )


def _wrong(
    facts: Facts, column: Column, node: int, found: dict[str, Any], numbers: dict[str, int]
) -> None:
    """Find names that lead to loopback, or to an address that the node meant does not have."""
    identities = facts.of("identity")
    for address, places in found.items():
        target = numbers.get(address)
        if target is None or target == node or not isinstance(places, list):
            continue
        own = set(identities.get(target, {}).get("addresses", ()))
        shown = f"{address} is {several(places)} there"
        if not facts.settings.local and all(is_loopback(place) for place in places):
            what = f"takes {address} for itself: the name leads to loopback"
            fix = f"remove {address} from the 127. lines of /etc/hosts there"
            finding = Finding("name-loopback", node, what, fix, shown, blame=(node,))
            column.add(finding, "loopback")
        elif own and not facts.settings.local and not own & set(places):
            what = f"resolves {address} to an address that {facts.name(target)} does not have"
            fix = f"correct {address} in /etc/hosts there, or in DNS"
            evidence = f"{shown}; {facts.name(target)} has {several(sorted(own - {'127.0.0.1'}))}"
            # An address translated on the way (NAT) is nobody's own, and still gets there.
            gets_there = "rate" in facts.links.get((node, target), ())
            severity = "warning" if gets_there else "error"
            finding = Finding("name-elsewhere", node, what, fix, evidence, severity, (node,))
            column.add(finding, "elsewhere")


def _own_name(facts: Facts, column: Column) -> None:
    """Find nodes whose own name is a loopback address, which gloo hands to the others.

    torch's ProcessGroupGloo binds to what the host's own name resolves to.
    """
    if facts.settings.interface or len(facts.settings.nodes) == 1:
        return
    for node, said in facts.of("identity").items():
        own = said.get("own", [])
        if not said.get("gloo") and own and all(is_loopback(place) for place in own):
            what = f"its own name {said['host']} is {own[0]}, which gloo would tell the others"
            fix = "set environment.network_interface, or remove that line from its /etc/hosts"
            severity = "warning" if facts.settings.gpus_per_node else "error"
            column.add(Finding("name-loopback", node, what, fix, "", severity), "loopback")


def clock(facts: Facts) -> Column:
    """Judge how far the clocks are apart."""
    column = Column("clock")
    if not facts.clocks:
        return column
    usual = agreed(list(facts.clocks.values()))
    for node, interval in sorted(facts.clocks.items()):
        ahead, behind = interval.lower - usual, usual - interval.upper
        if max(ahead, behind) > _APART:
            offset = ahead if ahead > behind else -behind
            what = f"its clock is {plain(abs(offset))} s {'ahead' if offset > 0 else 'behind'}"
            fix = "start chrony or ntpd there (chronyc tracking, timedatectl)"
            blame = (node,) if len(facts.clocks) > 2 else tuple(sorted(facts.clocks))
            shown = f"{'+' if offset > 0 else '-'}{plain(abs(offset))} s"
            column.add(Finding("clock-off", node, what, fix, blame=blame), shown)
        else:
            column.fine(node)
    return column


def agreed(intervals: list[Interval]) -> float:
    """Return the offset that most clocks may have, as NTP chooses among servers (Marzullo)."""

    def votes(offset: float) -> tuple[int, float]:
        return sum(one.lower <= offset <= one.upper for one in intervals), -abs(offset)

    return max((interval.lower for interval in intervals), key=votes)


def is_loopback(address: str) -> bool:
    """Tell whether an address is the node itself for whoever uses it."""
    return address.startswith("127.") or address == "::1"
