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
    wanted = facts.settings.gpus_per_node
    said = usable(facts, column, "gpus")
    cards = {}
    for node, found in said.items():
        if "missing" in found:
            what = f"no GPU can be asked: {found['missing']}"
            fix = "see nvidia-smi there; in a container: nvidia-container-cli, --nv"
            count = sum("missing" in other for other in said.values())
            blame = (node,) if count < len(said) else ()
            column.add(Finding("gpus-missing", node, what, fix, blame=blame), "none")
            continue
        cards[node] = found["gpus"]
        if len(found["gpus"]) < wanted:
            what = f"{counted(len(found['gpus']), 'GPU')}, the job wants {wanted}"
            fix = "see nvidia-smi -L and dmesg there: a card may have fallen off the bus"
            finding = Finding("gpus-missing", node, what, fix, blame=_if_others(facts, node))
            column.add(finding, f"{len(found['gpus'])} of {wanted}")
        for card in found["gpus"]:
            for judge in (_memory_errors, _throttled, _busy, _fabric, _link):
                for finding, text in judge(node, card):
                    column.add(finding, text)
        for finding, text in _xids(node, found):
            column.add(finding, text)
    _alike(column, cards)
    _products(facts, column)
    for node, mine in cards.items():
        column.fine(node, f"{len(mine)} x {mine[0]['name']}" if mine else "0")
    return column


Findings = List[Tuple[Finding, str]]


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
    names = several(f"{one['name']} (process {one['pid']})" for one in card["processes"])
    what = f"{_which(card)} is in use: {used:.0f} of {card['memory'] or 0:.0f} MiB are taken"
    fix = "another job's, or left over: tell the site, or leave the node out"
    evidence = names or "its processes are not shown here"
    severity = "error" if grave else "warning"
    return [(Finding("gpu-busy", node, what, fix, evidence, severity, (node,)), "in use")]


def _fabric(node: int, card: dict[str, Any]) -> Findings:
    if card["fabric"] in ("", "N/A", "Completed"):
        return []
    what = f"{_which(card)}: NVLink fabric is {card['fabric']}; CUDA would fail with error 802"
    fix = "the site has to start nvidia-fabricmanager there"
    return [(Finding("gpu-fabric", node, what, fix, "nvidia-smi -q", blame=(node,)), "fabric")]


def _link(node: int, card: dict[str, Any]) -> Findings:
    now, most = card["width"], card["width_max"]
    if not now or not most or now == most or "N/A" in (now, most):
        return []
    what = f"{_which(card)} is linked by {now} PCIe lanes of {most}"
    fix = "copies to and from it are slow: tell the site"
    return [(Finding("gpu-link", node, what, fix, "", "warning", (node,)), "PCIe")]


def _xids(node: int, found: dict[str, Any]) -> Findings:
    """Judge the driver's errors; those that programs cause themselves are not in the table."""
    known = _known_xids()
    judged: Findings = []
    for xid in {(one["xid"], one["pci"]): one for one in found["xids"]}.values():
        if xid["xid"] not in known:
            continue
        severity, meaning = known[xid["xid"]]
        hours = xid["age"] / 3600
        what = f"Xid {xid['xid']} on {xid['pci']}, {hours:.1f} h ago: {meaning}"
        fix = "leave the node out and tell the site"
        severity = severity if xid["age"] < _RECENT else "warning"
        finding = Finding("gpu-xid", node, what, fix, xid["text"], severity, (node,))
        judged.append((finding, f"Xid {xid['xid']}"))
    return judged


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
