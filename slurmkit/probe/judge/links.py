"""The network between nodes: the interface, the master's port, every link and its speed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Tuple

from ..facts import Facts
from . import odd
from .common import per_second, several, usable
from .finding import Column, Finding

_SLOW = 0.2
"""A link is slow below this share of what its siblings do."""
_OF_SPEED = 0.1
"""... or of what its interfaces say they can: a warning, since a busy CPU may be the reason."""
_UNKNOWN = 3e9 / 8
"""Bytes a second that an interface is taken for which does not say: a slow one."""
_SURELY = 0.4
"""... an error below this share of that."""
_PROBE = 10e9 / 8
"""Bytes a second beyond which the probe itself is the limit."""
_REASONS = {
    "timed out": "a firewall drops it",
    "Connection refused": "a firewall refuses it, or nobody listens any more",
    "No route to host": "a firewall refuses it, or no network joins them",
    "Network is unreachable": "no network joins them",
}
_NO_NAME = "name not resolved"
_NAMES = "have the nodes' names in DNS or /etc/hosts of every node"
Link = Tuple[int, int]


def interface(facts: Facts) -> Column:
    """Judge the interfaces that the ranks' traffic uses."""
    column = Column("interface")
    said = usable(facts, column, "interface")
    for node, found in said.items():
        if "there" in found:
            what = f"no interface {found['wanted']}"
            fix = "set environment.network_interface to one that all nodes have, or leave it out"
            evidence = f"there are {several(found['there'])}"
            blame = (node,) if sum("there" in other for other in said.values()) == 1 < len(said) \
                else ()  # fmt: skip
            column.add(
                Finding("interface-missing", node, what, fix, evidence, blame=blame), "missing"
            )
        elif found.get("wanted") and (found.get("state") == "down" or not found.get("address")):
            how = "is down" if found.get("state") == "down" else "has no address"
            fix = f"ip link, ip address show {found['name']}"
            finding = Finding("interface-down", node, f"{found['name']} {how}", fix, blame=(node,))
            column.add(finding, "down")
    _slower(column, said)
    _infiniband(column, said)
    for node, found in said.items():
        speed = f" {per_second(found['speed'] * 1e6 / 8)}" if found.get("speed") else ""
        column.fine(node, f"{found.get('name', '-')}{speed}")
    return column


def _slower(column: Column, said: dict[int, Any]) -> None:
    """Find interfaces that are slower than the others', or cut packets elsewhere."""
    speeds = {node: found["speed"] for node, found in said.items() if found.get("speed")}
    sizes = {node: found["mtu"] for node, found in said.items() if found.get("mtu")}
    for values, code, unit, text in (
        (speeds, "interface-slow", "Mbit/s", "slow"),
        (sizes, "mtu-differs", "bytes a packet (MTU)", "MTU"),
    ):
        if not values:
            continue
        usual, others = odd.ones(values)
        for node, value in others.items():
            if code == "interface-slow" and value > usual:
                continue
            what = f"{said[node]['name']} has {value} {unit}, other nodes {usual}"
            fix = "another cable, port or interface; see ethtool there and the switch"
            blame = odd.blamed(values, node)
            column.add(Finding(code, node, what, fix, "", "warning", blame), text)


def _infiniband(column: Column, said: dict[int, Any]) -> None:
    ports = {node: found.get("infiniband") or {} for node, found in said.items()}
    for port in sorted({port for those in ports.values() for port in those}):
        states = {node: those.get(port, "not there") for node, those in ports.items()}
        usual, others = odd.ones(states)
        for node, state in others.items():
            if "ACTIVE" in usual:
                fix = "ibstat there; the cable or the subnet manager"
                what = f"InfiniBand {port} is {state}, on other nodes {usual}"
                blame = odd.blamed(states, node)
                column.add(Finding("infiniband-down", node, what, fix, "", "warning", blame), "IB")


def port(facts: Facts) -> Column:
    """Judge whether the ranks can meet: the master's port."""
    column = Column("port")
    settings = facts.settings
    where = f"{settings.master_address}:{settings.master_port}"
    state = facts.hello.get(0, {}).get("master")
    if state and state != "ok":
        fix = f"see who has it: ss -ltnp 'sport = :{settings.master_port}'; or set launcher.port"
        taken = "in use" in state
        what = f"port {settings.master_port}, the master's, " + (
            "is taken" if taken else "cannot be used"
        )
        column.add(Finding("master-port-taken", 0, what, fix, state), "taken")
    failed = {node: how for node, how in facts.master.items() if how != "ok"}
    others = [node for node in facts.master if node != 0]
    for node, how in failed.items():
        what = f"does not reach the master at {where}"
        fix = f"open TCP port {settings.master_port} between them (nft, iptables, ufw on both), "
        fix += "or set launcher.port to one that is open"
        fix = _NAMES if how.startswith(_NO_NAME) else fix
        all_fail = set(others) <= set(failed)
        blame = tuple({0, node}) if len(others) == 1 else (0,) if all_fail else (node,)
        column.add(Finding("port-blocked", node, what, fix, explained(how), blame=blame), "blocked")
    for node in facts.master:
        column.fine(node)
    if state == "ok":
        column.fine(0)
    return column


def links(facts: Facts) -> Column:
    """Judge the links between nodes: whether they are, and how fast."""
    column = Column("links")
    blocked = {link: str(said["error"]) for link, said in facts.links.items() if "error" in said}
    slow = {link: facts.links[link]["rate"] for link in suspicious(facts)}
    if not facts.settings.local:
        usual = _usual(facts)
        shown = {link: f"{per_second(rate)}, other links {per_second(usual)}" if usual else
                 per_second(rate) for link, rate in slow.items()}  # fmt: skip
        fix = "its cable, switch port, interface (ethtool), or traffic of others on that link"
        sure = {link: how for link, how in shown.items() if slow[link] < _SURELY * _promised(
            facts, link) or slow[link] < _SLOW * min(usual or 0.0, _PROBE)}  # fmt: skip
        rest = {link: how for link, how in shown.items() if link not in sure}
        _bad_links(facts, column, ("link-slow", "slow", "error"), sure, fix)
        _bad_links(facts, column, ("link-slow", "slow", "warning"), rest, fix)
    fix = "open all TCP ports between the nodes: NCCL and gloo take any (nft, iptables, ufw)"
    if blocked and all(how.startswith(_NO_NAME) for how in blocked.values()):
        fix = _NAMES
    why = {link: explained(how) for link, how in blocked.items()}
    _bad_links(facts, column, ("link-blocked", "blocked", "error"), why, fix)
    for node in facts.heard:
        rates = [said["rate"] for link, said in facts.links.items()
                 if node in link and "rate" in said]  # fmt: skip
        if rates:
            column.fine(node, per_second(median(rates)))
    return column


def _bad_links(
    facts: Facts, column: Column, kind: tuple[str, str, str], bad: dict[Link, str], fix: str
) -> None:
    code, word, severity = kind
    guilty, pairs = odd.culprits(bad)
    nodes = len({node for link in facts.links for node in link})
    for node in guilty:
        mine = [link for link in sorted(bad) if node in link]
        partners = sorted({other for link in mine for other in link} - {node})
        sides = sorted({"from" if link[0] == node else "to" for link in mine}, reverse=True)
        what = f"{word} {' and '.join(sides)} it: {len(partners)} of {nodes - 1} other nodes"
        shown = several(_shown(facts, link, bad[link]) for link in mine[:3])
        column.add(Finding(code, node, what, fix, shown, severity, (node,)), word)
    everywhere = nodes > 2 and len(pairs) == nodes * (nodes - 1) // 2
    for first, second in pairs[:1] if everywhere else pairs:
        ways = [link for link in ((first, second), (second, first)) if link in bad]
        what = (
            "every link between nodes is " + word
            if everywhere
            else (f"the link between {facts.name(first)} and {facts.name(second)} is {word}")
        )
        shown = "; ".join(_shown(facts, link, bad[link]) for link in ways)
        blame = () if everywhere else (first, second)
        column.add(Finding(code, first, what, fix, shown, severity, blame), word)
        column.add(Finding(code, second, what, fix, shown, severity, blame), word, kept=False)


def _shown(facts: Facts, link: Link, how: str) -> str:
    return f"{facts.name(link[0])} to {facts.name(link[1])}: {how}"


def _usual(facts: Facts) -> float | None:
    """Return what links do here: of the two ways of a single one, what the better does."""
    rates = [said["rate"] for said in facts.links.values() if "rate" in said]
    return (median(rates) if len(rates) > 2 else max(rates)) if rates else None


def suspicious(facts: Facts) -> list[Link]:
    """Return the links that are much slower than their siblings, or than their interfaces."""
    usual = min(_usual(facts) or 0.0, _PROBE)
    found = []
    for link, said in sorted(facts.links.items()):
        expected = max(_SLOW * usual, _promised(facts, link))
        if "rate" in said and said["rate"] < expected:
            found.append(link)
    return found


def _promised(facts: Facts, link: Sequence[int]) -> float:
    """Return the bytes a second to expect at least by the slower of two interfaces."""
    speeds = [facts.look.get(node, {}).get("interface", {}).get("speed") for node in link]
    speed = min(speeds) * 1e6 / 8 if all(speeds) else _UNKNOWN
    return _OF_SPEED * min(speed, _PROBE)


def explained(how: str) -> str:
    """Return why a connection came to nothing, with what that mostly means."""
    return f"{how}: {_REASONS[how]}" if how in _REASONS else how
