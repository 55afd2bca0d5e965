"""All-reduces: whether all ranks come together, and if not, which node or pair keeps them apart."""

from __future__ import annotations

from statistics import median
from typing import Any

from ..facts import Facts, Trial
from ..trials import worked
from . import odd
from .common import per_second
from .finding import Column, Finding

_SLOW = 0.4  # of what other pairs of nodes do


def ranks(facts: Facts) -> Column:
    """Judge the all-reduce of all ranks, and those of parts."""
    column = Column("ranks")
    for finding in _without_torch(facts):
        column.add(finding, "no torch")
    if not facts.trials:
        for node in facts.heard:
            column.skip(node, "not tried")
        return column
    whole, parts = facts.trials[0], facts.trials[1:]
    if not worked(whole):
        _failed(facts, column, whole, parts)
    else:
        _slow(facts, column, parts)
        for node, said in whole.said.items():
            rate = _rate(said, len(whole.nodes), facts)
            column.fine(node, per_second(rate) if rate else "ok")
    for node in facts.heard:
        column.skip(node)
    return column


def _without_torch(facts: Facts) -> list[Finding]:
    """Find nodes where torch is not to be imported; a job may be one that wants none."""
    torch = facts.of("torch")
    lacking = {node: said for node, said in torch.items() if "ready" not in said}
    slow = [node for node, said in lacking.items() if "timeout" in said or said.get("hangs")]
    found = []
    for node, said in lacking.items():
        why = str(said.get("error", f"it is not imported in {said.get('timeout', 0):.3g} s"))
        absent = len(lacking) == len(torch) and "No module named 'torch'" in why
        what, severity = "torch cannot be used", "error"
        fix = "the job's environment must have torch on every node"
        if absent and not facts.settings.torch:
            what, severity = "no all-reduce is tried: torch is not installed", "warning"
            fix = "leave ranks out of the checks, or install torch where the program wants it"
        elif node in slow and 2 * len(slow) > len(torch):
            what, severity = "no all-reduce is tried: importing torch takes long", "warning"
            fix = "the job will wait as long: a slow file system under the environment"
        blame = (node,) if len(lacking) < len(torch) else ()
        found.append(Finding("ranks-fail", node, what, fix, why, severity, blame))
    return found


def trouble(said: dict[str, Any]) -> str:
    """Return what went wrong with a node's ranks: the first that says why, not that it hangs."""
    if "error" in said:
        return str(said["error"])
    bad = [rank for rank in said["ranks"] if "error" in rank]
    for rank in sorted(bad, key=lambda rank: bool(rank.get("hangs"))):
        last = f" ({rank['last']})" if rank.get("last") else ""
        return f"{rank['error']}{last}"
    return ""


def _failed(facts: Facts, column: Column, whole: Trial, parts: list[Trial]) -> None:
    alone = {t.nodes[0]: t for t in parts if len(t.nodes) == 1}
    guilty = [node for node, trial in alone.items() if not worked(trial)]
    fix = "see its GPUs, /dev/shm and torch there: NCCL_DEBUG=INFO tells more"
    for node in guilty:
        what = "its own ranks do not come together, without any other node"
        evidence = trouble(alone[node].said.get(node, {"error": "no answer"}))
        column.add(Finding("ranks-fail", node, what, fix, evidence, blame=(node,)), "fails")
    bad = {t.nodes: t for t in parts if len(t.nodes) == 2 and not worked(t)}
    nodes, pairs = odd.culprits([(t[0], t[1]) for t in bad])
    fix = "open all TCP ports between nodes, and name the right interface: network_interface"
    for node in nodes:
        what = "the ranks of other nodes do not come together with its own"
        evidence = next(_why(t) for members, t in bad.items() if node in members)
        column.add(Finding("ranks-fail", node, what, fix, evidence, blame=(node,)), "fails")
    for first, second in pairs:
        what = f"the ranks of {facts.name(first)} and {facts.name(second)} do not come together"
        evidence = next(_why(t) for members, t in bad.items() if {first, second} == set(members))
        finding = Finding("ranks-fail", first, what, fix, evidence, blame=(first, second))
        column.add(finding, "fails")
        column.add(_at(finding, second), "fails", kept=False)
    if not guilty and not bad:
        what = "an all-reduce over all ranks fails"
        for count, node in enumerate(whole.nodes):
            blame = whole.nodes if len(whole.nodes) == 2 else ()
            finding = Finding("ranks-fail", node, what, fix, _why(whole), blame=blame)
            column.add(finding, "fails", kept=count == 0)


def _at(finding: Finding, node: int) -> Finding:
    return Finding(finding.code, node, finding.what, finding.fix, finding.evidence)


def _why(trial: Trial) -> str:
    """Return the reason that says most: of a rank that failed before one that only waited."""
    said = [trial.said.get(node, {"error": "no answer"}) for node in trial.nodes]
    reasons = [reason for reason in map(trouble, said) if reason]
    return next((reason for reason in reasons if "hangs" not in reason), (reasons or [""])[0])


def _rate(said: dict[str, Any], nodes: int, facts: Facts) -> float:
    """Return the bytes a second of an all-reduce (the bus bandwidth of nccl-tests)."""
    size = nodes * facts.settings.processes_per_node
    slowest = max(rank["seconds"] for rank in said["ranks"])
    return float(said["ranks"][0]["bytes"] / max(slowest, 1e-9) * 2 * (size - 1) / size)


def _slow(facts: Facts, column: Column, parts: list[Trial]) -> None:
    """Compare neighbours two by two; whoever is slow with both of its own is the slow one."""
    rates: dict[tuple[int, ...], float] = {
        trial.nodes: min(_rate(said, 2, facts) for said in trial.said.values())
        for trial in parts
        if len(trial.nodes) == 2 and worked(trial)
    }
    if len(rates) < 3 or facts.settings.local:
        return
    usual = median(rates.values())
    slow = {nodes: rate for nodes, rate in rates.items() if rate < _SLOW * usual}
    nodes, pairs = odd.culprits([(n[0], n[1]) for n in slow])
    fix = "see its links and GPUs; leave the node out"
    for node in nodes:
        what = f"all-reduces with it go at {per_second(min(slow.values()))}, others at "
        what += per_second(usual)
        column.add(Finding("ranks-slow", node, what, fix, "", "error", (node,)), "slow")
    for first, second in pairs:
        what = f"all-reduces of {facts.name(first)} with {facts.name(second)} go at "
        what += f"{per_second(min(slow.values()))}, others at {per_second(usual)}"
        blame = (first, second)
        for count, node in enumerate(blame):
            finding = Finding("ranks-slow", node, what, fix, "", "warning", blame)
            column.add(finding, "slow", kept=count == 0)
