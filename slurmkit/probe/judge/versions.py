"""Versions: the same Python, torch, CUDA and NCCL on all nodes."""

from __future__ import annotations

from typing import Any

from ..facts import Facts
from . import odd
from .common import several, usable
from .finding import Column, Finding

_GRAVE = ("python", "torch", "CUDA", "ROCm", "NCCL", "machine")
"""What breaks a job when it differs; anything else may."""


def versions(facts: Facts) -> Column:
    """Judge whether nodes have the same versions."""
    column = Column("versions")
    said = usable(facts, column, "versions")
    known: dict[int, dict[str, str]] = {
        node: {**found["versions"], "machine": found["machine"]} for node, found in said.items()
    }
    for name in sorted({name for mine in known.values() for name in mine}):
        _compare(
            facts, column, said, name, {n: mine.get(name, "none") for n, mine in known.items()}
        )
    for node, mine in known.items():
        shown = "torch" if "torch" in mine else "python"
        column.fine(node, f"{shown} {mine[shown]}")
    return column


def _compare(
    facts: Facts, column: Column, said: dict[int, Any], name: str, have: dict[int, str]
) -> None:
    usual, others = odd.ones(have)
    for node, version in others.items():
        grave = name in _GRAVE and not (name == "python" and _minor(version) == _minor(usual))
        what = f"{name} {version}, where other nodes have {usual}"
        fix = f"install the same everywhere; here it is {said[node]['executable']}"
        if name == "driver":
            fix = "ask the site for one driver, or leave the node out"
        elif name == "machine":
            fix = "ask for nodes of one kind: constraint, partition"
        evidence = several(
            f"{facts.name(n)} {have[n]}" for n in sorted({*others, _one(have, usual)})
        )
        severity = "error" if grave else "warning"
        finding = Finding(
            "version-differs", node, what, fix, evidence, severity, odd.blamed(have, node)
        )
        column.add(finding, f"{name} {version}")


def _one(have: dict[int, str], usual: str) -> int:
    return next(node for node, version in have.items() if version == usual)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
