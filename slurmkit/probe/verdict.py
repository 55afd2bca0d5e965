"""All judges together: from what the nodes have said to the report."""

from __future__ import annotations

from .facts import Facts
from .judge import data, gpus, hosts, links, ranks, storage, versions
from .judge.finding import Column, Finding
from .report import Report

_JUDGES = {
    "hosts": (hosts.names, hosts.clock),
    "network": (links.interface, links.port, links.links),
    "versions": (versions.versions,),
    "gpus": (gpus.gpus,),
    "data": (data.data,),
    "storage": (storage.storage,),
    "entrypoint": (data.entrypoint,),
    "ranks": (ranks.ranks,),
}


def judged(facts: Facts, seconds: float) -> Report:
    """Judge everything that was wanted."""
    columns = [answers(facts)]
    for group, judges in _JUDGES.items():
        if group in facts.settings.checks and facts.heard and _applies(facts, group):
            columns += [judge(facts) for judge in judges]
        if group in facts.late:
            what = f"no time was left for all of {group}: {facts.settings.timeout:g} s are over"
            fix = "give preflight.timeout more seconds, or fewer checks"
            columns[-1].findings.append(
                Finding(
                    "out-of-time", None, what, fix, severity="warning" if facts.heard else "error"
                )
            )
    sure, unsure = at_fault([f for column in columns for f in column.findings])
    names = facts.settings.names
    if len(sure) == len(names):  # leaving all of them out is no advice
        sure, unsure = [], []
    return Report(
        names,
        tuple(columns),
        seconds,
        tuple(names[node] for node in sure),
        tuple(names[node] for node in unsure),
    )


def at_fault(findings: list[Finding]) -> tuple[list[int], list[int]]:
    """Return the nodes that are surely at fault, and those of which one is."""
    blames = [set(f.blame) for f in findings if f.severity == "error" and f.blame]
    sure = set().union(*(blame for blame in blames if len(blame) == 1))
    unsure = set().union(*(blame for blame in blames if not blame & sure))
    return sorted(sure), sorted(unsure)


def answers(facts: Facts) -> Column:
    """Judge whether nodes answer at all."""
    column = Column("answers")
    for node, why in sorted(facts.silent.items()):
        fix = "try it there by hand: the environment, python3, a file system that hangs"
        blame = (node,) if len(facts.silent) < len(facts.settings.nodes) else ()
        finding = Finding("no-answer", node, "no answer", fix, why, blame=blame)
        column.add(finding, "none")
    if column.findings:
        for node in facts.heard:
            column.fine(node)
    return column


def _applies(facts: Facts, group: str) -> bool:
    if group == "gpus":
        return facts.settings.gpus_per_node > 0
    return bool(facts.settings.data) if group == "data" else True
