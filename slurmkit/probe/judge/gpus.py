"""GPUs: as many as asked for, alike, in health, and nobody else's."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any, List, Tuple

from ..facts import Facts
from . import odd
from .common import counted, several, usable
from .finding import Column, Finding

_RECENT = 24 * 3600.0  # seconds: an older Xid may have been mended since
_IDLE = 1500.0  # MiB that the driver itself may hold
_BUSY = 0.1  # of a card's memory: more of it missing is an error


def gpus(facts: Facts) -> Column:
    """Judge the cards of each node, alone and beside the others'."""
    column = Column("gpus")
    said = usable(facts, column, "gpus")
    cards = {}
    for node, found in said.items():
        if "maker" in found:
            column.skip(node, f"{found['maker']}: not looked at")
        elif "missing" in found:
            column.add(_missing(facts, node, said), "none")
        else:
            cards[node] = found["gpus"]
            for finding, text in _of_node(facts, node, found):
                column.add(finding, text)
    _alike(column, cards)
    _products(facts, column)
    for node, mine in cards.items():
        column.fine(node, f"{len(mine)} x {mine[0]['name']}" if mine else "0")
    return column


Findings = List[Tuple[Finding, str]]


def _of_node(facts: Facts, node: int, found: dict[str, Any]) -> Findings:
    """Judge the cards of a node by themselves."""
    wanted, count = facts.settings.gpus_per_node, found["count"]
    judged: Findings = []
    if count < wanted:
        what = f"{counted(count, 'GPU')}, the job wants {wanted}"
        fix = "see nvidia-smi -L and dmesg there: a card may have fallen off the bus"
        finding = Finding("gpus-missing", node, what, fix, blame=_if_others(facts, node))
        judged.append((finding, f"{count} of {wanted}"))
    computes = any(
        "flops" in rank
        for trial in facts.trials[:1]
        for rank in trial.said.get(node, {}).get("ranks", ())
    )
    for card in found["gpus"]:
        for judge in (_memory_errors, _throttled, _busy, _link):
            judged += judge(node, card)
        judged += _fabric(node, card, computes=computes)
    return [*judged, *_xids(node, found, whole=count >= wanted)]


def _missing(facts: Facts, node: int, said: dict[int, Any]) -> Finding:
    """Tell a node without GPUs from one where nothing can be asked about them."""
    found = said[node]
    what = f"no GPU can be asked: {found['missing']}"
    fix = "see nvidia-smi there; in a container: nvidia-container-cli, --nv"
    if found.get("devices", 0) >= facts.settings.gpus_per_node:
        what = f"the GPUs are not looked at: {found['missing']}"
        fix = "in a container: NVIDIA_DRIVER_CAPABILITIES=compute,utility brings it"
        return Finding("gpus-missing", node, what, fix, "", "warning")
    count = sum("missing" in other for other in said.values())
    blame = (node,) if count < len(said) else ()
    return Finding("gpus-missing", node, what, fix, blame=blame)


def _if_others(facts: Facts, node: int) -> tuple[int, ...]:
    """Blame a node for what is its own fault, unless it is the only one."""
    return (node,) if len(facts.settings.nodes) > 1 else ()


def _which(card: dict[str, Any]) -> str:
    return f"GPU {card['index']} ({card['pci']})"


def _memory_errors(node: int, card: dict[str, Any]) -> Findings:
    found: Findings = []

    def add(what: str, severity: str = "error") -> None:
        fix = "leave the node out and tell the site: the card needs a reset, or to be replaced"
        text = f"{_which(card)}: {what}"
        finding = Finding("gpu-ecc", node, text, fix, "nvidia-smi -q", severity, (node,))
        found.append((finding, "ECC"))

    if card["uncorrected"]:
        errors = counted(card["uncorrected"], "uncorrected memory error")
        add(f"{errors} since the driver was loaded")
    for what in card["unfit"]:
        add(what)
    if card["pending"]:
        add("broken memory waits for a reset to be set aside", "warning")
    return found


def _throttled(node: int, card: dict[str, Any]) -> Findings:
    if not card["throttled"]:
        return []
    hard = any(name.startswith("hw_") for name in card["throttled"])
    what = f"{_which(card)} is slowed down: {', '.join(card['throttled'])}"
    fix = "leave the node out and tell the site: cooling or power supply"
    heat = f"{card['temperature']:g} degrees" if card["temperature"] is not None else ""
    severity = "error" if hard else "warning"
    return [(Finding("gpu-throttled", node, what, fix, heat, severity, (node,)), "throttled")]


def _busy(node: int, card: dict[str, Any]) -> Findings:
    if card["mig"]:
        return []
    used = card["used"] or 0.0
    if not card["processes"] and used <= _IDLE:
        return []
    grave = used > max(_BUSY * (card["memory"] or 0.0), _IDLE)
    if card["coherent"] and not card["processes"]:
        grave = False  # the system itself may keep files in memory that it shares with the card
    names = several(f"{one['name']} (process {one['pid']})" for one in card["processes"])
    what = f"{_which(card)} is in use: {used:.0f} of {card['memory'] or 0:.0f} MiB are taken"
    fix = "another job's, or left over: tell the site, or leave the node out"
    evidence = names or "its processes are not shown here"
    severity = "error" if grave else "warning"
    return [(Finding("gpu-busy", node, what, fix, evidence, severity, (node,)), "in use")]


def _fabric(node: int, card: dict[str, Any], *, computes: bool) -> Findings:
    if not card["fabric"]:
        return []
    what = f"{_which(card)}: its place in the NVLink fabric is {card['fabric']}"
    what += "" if computes else "; CUDA would fail with error 802"
    fix = "the site has to start nvidia-fabricmanager there"
    severity = "warning" if computes else "error"
    return [(Finding("gpu-fabric", node, what, fix, "nvidia-smi -q", severity, (node,)), "fabric")]


def _link(node: int, card: dict[str, Any]) -> Findings:
    now, most = card["width"], card["width_max"]
    if not now or not most or now == most or "N/A" in (now, most):
        return []
    what = f"{_which(card)} is linked by {now} PCIe lanes of {most}"
    fix = "copies to and from it are slow: tell the site"
    return [(Finding("gpu-link", node, what, fix, "", "warning", (node,)), "PCIe")]


def _xids(node: int, found: dict[str, Any], *, whole: bool) -> Findings:
    """Judge the driver's errors; those that programs cause themselves are not in the table.

    Where the job has all of its cards, an error of another card is none of its own.
    """
    known = _known_xids()
    own = {_place(card["pci"]) for card in found["gpus"]}
    judged: Findings = []
    for xid in {(one["xid"], one["pci"]): one for one in found["xids"]}.values():
        if xid["xid"] not in known or (whole and _place(xid["pci"]) not in own):
            continue
        severity, meaning = known[xid["xid"]]
        hours = xid["age"] / 3600
        what = f"Xid {xid['xid']} on {xid['pci']}, {hours:.1f} h ago: {meaning}"
        fix = "leave the node out and tell the site"
        severity = severity if xid["age"] < _RECENT else "warning"
        finding = Finding("gpu-xid", node, what, fix, xid["text"], severity, (node,))
        judged.append((finding, f"Xid {xid['xid']}"))
    return judged


def _place(pci: str) -> tuple[int, ...]:
    """Return domain, bus and device, which the kernel's log and nvidia-smi write differently."""
    return tuple(int(part or "0", 16) for part in f"0:{pci}".partition(".")[0].split(":")[-3:])


def _known_xids() -> dict[int, tuple[str, str]]:
    text = (pkgutil.get_data(__package__ or "", "xid.tsv") or b"").decode()
    rows = [line.split("\t") for line in text.splitlines()[1:] if line and line[0] != "#"]
    return {int(xid): (severity, meaning) for xid, severity, meaning in rows}


def _alike(column: Column, cards: dict[int, list[dict[str, Any]]]) -> None:
    about: tuple[tuple[str, Callable[[Any], str]], ...] = (
        ("GPUs", lambda card: str(card["name"])),
        ("memory", lambda card: f"{card['memory'] or 0:.0f} MiB"),
    )
    for what, value in about:
        have = {n: "+".join(sorted(set(map(value, mine)))) for n, mine in cards.items() if mine}
        if not have:
            continue
        usual, others = odd.ones(have)
        for node, other in others.items():
            text = f"{what} {other}, where other nodes have {usual}"
            fix = "ask for one kind: resources.gpu_type, constraint"
            blame = odd.blamed(have, node)
            column.add(Finding("gpu-differs", node, text, fix, "", "warning", blame), "differs")


def _products(facts: Facts, column: Column) -> None:
    """Compare the matrix products of all cards."""
    if not facts.settings.gpus_per_node or not facts.trials:
        return
    rates = {
        (node, local): rank["flops"]
        for node, said in facts.trials[0].said.items()
        for local, rank in enumerate(said.get("ranks", ()))
        if "flops" in rank
    }
    if len(rates) < 2:
        return
    usual = sorted(rates.values())[len(rates) // 2]
    for (node, local), rate in sorted(rates.items()):
        if rate < 0.85 * usual:
            what = f"the GPU of local rank {local} multiplies at {rate / 1e12:.0f} TFLOP/s, "
            what += f"others at {usual / 1e12:.0f}"
            fix = "nvidia-smi -q -d PERFORMANCE,CLOCK,TEMPERATURE there; leave the node out"
            severity = "error" if rate < 0.6 * usual else "warning"
            column.add(Finding("gpu-slow", node, what, fix, "", severity, (node,)), "slow")
