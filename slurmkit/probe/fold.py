"""One finding for what is the same on several nodes, and their names as Slurm's node list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .judge.finding import Finding

_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
_LONGEST = 18  # digits; Slurm reads no longer numbers in brackets
_SHOWN = 3


class Folded(NamedTuple):
    """A finding, and all the nodes that it shows on; none where it is about no node."""

    finding: Finding
    nodes: tuple[int, ...]
    seen: tuple[str, ...]
    """What was seen on each of them."""

    def place(self, names: Sequence[str]) -> str:
        """Say where it is: `node3`, `node[1-3,7]`, `node[0-7] (all 8)`."""
        if not self.nodes:
            return "all nodes"
        text = node_list(names[node] for node in self.nodes)
        return f"{text} (all {len(names)})" if 1 < len(self.nodes) == len(names) else text

    def evidence(self, names: Sequence[str]) -> str:
        """Say what was seen: once where it is the same, else for the first of the nodes."""
        if len(set(self.seen)) < 2:
            return self.finding.evidence
        parts = [f"{names[node]}: {text}" for node, text in zip(self.nodes, self.seen) if text]
        more = f"; and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
        return "; ".join(parts[:_SHOWN]) + more


def folded(findings: Iterable[tuple[str, Finding]]) -> list[Folded]:
    """Join findings of a check that differ in their node, and in what was seen there, only."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for at, (check, one) in enumerate(findings):
        own = str(at) if one.node is None else ""
        key = (own, check, one.code, one.severity, one.what, one.fix)
        groups.setdefault(key, []).append(one)
    joined = []
    for group in groups.values():
        by_node = {one.node: one for one in group if one.node is not None}
        seen = tuple(by_node[node].evidence for node in sorted(by_node))
        joined.append(Folded(group[0], tuple(sorted(by_node)), seen))
    return joined


def node_list(names: Iterable[str]) -> str:
    """Return names as Slurm writes a list of nodes: `node[1-3,7],login`."""
    parts: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(names):
        found = _NUMBERED.fullmatch(name)
        if found and len(found[2]) <= _LONGEST:
            parts.setdefault((found[1], found[3]), []).append(found[2])
        else:
            parts[(name,)] = []
    return ",".join((_bracket(parts[key]) if parts[key] else "").join(key) for key in parts)


def _bracket(numbers: list[str]) -> str:
    runs: list[list[str]] = []
    for number in sorted(numbers, key=lambda text: (len(text), int(text))):
        if runs and number == str(int(runs[-1][-1]) + 1).zfill(len(runs[-1][0])):
            runs[-1].append(number)
        else:
            runs.append([number])
    if len(numbers) == 1:
        return numbers[0]
    return "[" + ",".join(run[0] + f"-{run[-1]}" * (len(run) > 1) for run in runs) + "]"
