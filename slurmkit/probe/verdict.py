"""All judges together: from what the nodes have said to the report."""

from __future__ import annotations

import re

from .facts import Facts
from .judge import data, gpus, hosts, links, ranks, storage, versions
from .judge.common import several
from .judge.finding import Column, Finding
from .report import NOTHING, STOPPED, Report
from .settings import Settings

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
_EMPTY = {
    "gpus": "gpus, where there are no GPUs for the job",
    "data": "data, where preflight.data names no paths",
    "entrypoint": "entrypoint, which differs between the points of the sweep",
}
"""What is not looked at, by the checks that may have nothing to look at."""
ADVICE = "add checks, or what these look at"
_UNSET = re.compile(r"(\w+): is not set on this node, and ([\w.]+)\S* reads it")
"""What bash says of `${NAME?…}`, as the script writes a variable that a path reads."""
_NO_PROBE = re.compile(r"(can't open file '\S*/preflight\.pyz'[^;]*)")
"""What Python says where the probe is not."""
_SAID = re.compile(_UNSET.pattern + r"|exit code \d+$")


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
    if facts.stopped is not None:
        what = f"the checks were stopped after {seconds:.0f} s, before they were done"
        fix = "the job was cancelled, out of time, or lost a node: sacct -j says which"
        waited = several(facts.name(node) for node in facts.stopped)
        seen = f"they were waiting for {waited}" if waited else ""
        columns[0].findings.append(Finding(STOPPED, None, what, fix, seen))
    why = nothing_to_check(facts.settings)
    if facts.heard and why:
        columns[0].findings.append(Finding(NOTHING, None, why, ADVICE, severity="warning"))
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


def nothing_to_check(settings: Settings) -> str:
    """Say why none of the checks has anything to look at; nothing where one of them has."""
    there = {
        "gpus": settings.gpus_per_node, "data": settings.data, "entrypoint": settings.entrypoint,
    }  # fmt: skip
    if any(there.get(group, True) for group in settings.checks):
        return ""
    return "nothing to check: " + "; ".join(_EMPTY[group] for group in settings.checks)


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
        special = _unset(node, why, blame) or _nowhere(node, why, blame)
        finding = special or Finding("no-answer", node, "no answer", fix, why, blame=blame)
        column.add(finding, "none")
    for node, why in sorted(facts.failed.items()):
        what, fix = "one of the probe's rounds failed", "see the reason: df, ulimit -a, dmesg there"
        column.add(Finding("check-failed", node, what, fix, why, "warning"), "failed")
    if column.findings:
        for node in facts.heard:
            column.fine(node)
    return column


def _nowhere(node: int, why: str, blame: tuple[int, ...]) -> Finding | None:
    """Tell a run directory that a node does not see from a probe that fails."""
    found = _NO_PROBE.search(why)
    if found is None:
        return None
    what = "the run directory is not there: where the job was submitted is not one directory on all"
    fix = "submit from a file system that all nodes mount, or see findmnt there: a mount is missing"
    return Finding("not-shared", node, what, fix, found[1], blame=blame)


def _unset(node: int, why: str, blame: tuple[int, ...]) -> Finding | None:
    """Tell a variable that is missing from a probe that is."""
    found = _UNSET.search(why)
    if found is None:
        return None
    name, field = found.groups()
    what = f"{name} is not set there, and {field} reads it"
    fix = f"export it in environment.setup, or give it a default: ${{env:{name}:-/a/path}}"
    rest = [part for part in why.split("; ") if not _SAID.search(part)]
    return Finding("variable-unset", node, what, fix, "; ".join(rest), blame=blame)


def _applies(facts: Facts, group: str) -> bool:
    if group == "gpus":
        return facts.settings.gpus_per_node > 0
    return bool(facts.settings.data) if group == "data" else True
