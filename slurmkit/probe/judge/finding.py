"""One thing that is wrong with a node, and one column of the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

OK, BAD, WARNING, SKIPPED = "ok", "bad", "warning", "skipped"


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and what to do."""

    code: str
    """Its short name, such as `port-blocked`."""
    node: int | None
    """The node that it shows on; None for all of them."""
    what: str
    fix: str
    evidence: str = ""
    severity: str = "error"
    """Error or warning."""
    blame: tuple[int, ...] = ()
    """Nodes without which it would go: one is surely at fault, of several it is one."""


class Cell(NamedTuple):
    """What the table shows of one check on one node."""

    state: str
    text: str


@dataclass
class Column:
    """One check over all nodes."""

    check: str
    cells: dict[int, Cell] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def fine(self, node: int, text: str = "ok") -> None:
        """Show a figure, where nothing bad is shown."""
        self.cells.setdefault(node, Cell(OK, text))

    def skip(self, node: int, text: str = "-") -> None:
        """Show that it was not looked at."""
        self.cells.setdefault(node, Cell(SKIPPED, text))

    def add(self, finding: Finding, text: str, *, kept: bool = True) -> None:
        """Show a finding on its node, and keep it; what is bad covers what is not."""
        if kept:
            self.findings.append(finding)
        state = BAD if finding.severity == "error" else WARNING
        there = self.cells.get(finding.node) if finding.node is not None else None
        if finding.node is not None and (there is None or there.state != BAD):
            self.cells[finding.node] = Cell(state, text)
