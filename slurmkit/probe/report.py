"""The verdict: a table, the findings under it, the nodes to leave out; or all of it as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from .fold import Folded, folded
from .judge.finding import BAD, OK, WARNING, Cell, Column, Finding

_ALL_ROWS = 16
"""Nodes up to which the table has a row for every one."""
NOTHING = "nothing-to-check"
"""The code of the finding that none of the checks had anything to look at."""
STOPPED = "stopped"
"""The code of the finding that the checks were ended from outside."""


@dataclass(frozen=True)
class Report:
    """What a preflight has found."""

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    seconds: float
    exclude: tuple[str, ...] = ()
    """The nodes that are surely at fault."""
    exclude_one_of: tuple[str, ...] = ()
    """Nodes of which one is at fault, where nothing says which."""

    @property
    def findings(self) -> list[tuple[Column, Finding]]:
        """What is wrong, the errors first."""
        every = [(column, finding) for column in self.columns for finding in column.findings]
        return sorted(every, key=lambda one: one[1].severity != "error")

    @property
    def code(self) -> int:
        """What a program that prints this exits with."""
        return int(any(finding.severity == "error" for _, finding in self.findings))

    @property
    def summary(self) -> str:
        """All of it in a line."""
        if not self.code:
            return self._fine()
        errors = [one for one in self._folded() if one.finding.severity == "error"]
        first, more = errors[0], f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return f"{first.place(self.names)}: {first.finding.what} [{first.finding.code}]{more}"

    @property
    def checked_nothing(self) -> bool:
        """Whether none of the checks had anything to look at."""
        return any(finding.code == NOTHING for _, finding in self.findings)

    @property
    def stopped(self) -> bool:
        """Whether somebody has ended the checks, which is no word against a node."""
        return any(finding.code == STOPPED for _, finding in self.findings)

    def lines(self, width: int | None = None) -> list[str]:
        """Return the table, the findings in so many columns, and the line to paste."""
        lines = self._table()
        for one in self._folded():
            finding = one.finding
            head = f"{one.place(self.names)}: {finding.what} [{finding.code}]"
            lines += ["", head if finding.severity == "error" else f"{head} ({finding.severity})"]
            for name, text in (("seen", one.evidence(self.names)), ("fix", finding.fix)):
                if text:
                    lines += _wrapped(f"    {name + ':':<6}{' '.join(text.split())}", width)
        lines += ["", *self._verdict()]
        return lines if lines[0] else lines[1:]

    def json(self) -> dict[str, Any]:
        """Return all of it for programs."""
        checks = {
            name: {
                column.check: column.cells[node]._asdict()
                for column in self.columns
                if node in column.cells
            }
            for node, name in enumerate(self.names)
        }
        findings = [
            {
                "code": finding.code,
                "node": None if finding.node is None else self.names[finding.node],
                "check": column.check,
                "what": finding.what,
                "evidence": finding.evidence,
                "fix": finding.fix,
                "severity": finding.severity,
            }
            for column, finding in self.findings
        ]
        return {
            "ok": self.code == 0,
            "seconds": round(self.seconds, 1),
            "summary": self.summary,
            "nodes": list(self.names),
            "checks": checks,
            "findings": findings,
            "exclude": list(self.exclude),
            "exclude_one_of": list(self.exclude_one_of),
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Report:
        """Read what `json` has given."""
        names = tuple(told["nodes"])
        columns: dict[str, Column] = {}
        for number, name in enumerate(names):
            for check, cell in told["checks"].get(name, {}).items():
                column = columns.setdefault(check, Column(check))
                column.cells[number] = Cell(cell["state"], cell["text"])
        for one in told["findings"]:
            column = columns.setdefault(one["check"], Column(one["check"]))
            node = names.index(one["node"]) if one["node"] in names else None
            texts = (one[key] for key in ("what", "fix", "evidence", "severity"))
            column.findings.append(Finding(one["code"], node, *texts))
        exclude, either = tuple(told["exclude"]), tuple(told["exclude_one_of"])
        return cls(names, tuple(columns.values()), float(told["seconds"]), exclude, either)

    def _folded(self) -> list[Folded]:
        return folded((column.check, finding) for column, finding in self.findings)

    def _fine(self) -> str:
        if self.checked_nothing:
            return "nothing was checked"
        fine = "1 node is fine" if len(self.names) == 1 else f"{len(self.names)} nodes are fine"
        warned = len(self._folded())
        return f"{fine}, with {warned} warning{'s' * (warned > 1)}" if warned else fine

    def _table(self) -> list[str]:
        columns = [column for column in self.columns if column.cells]
        if not columns:
            return []
        all_shown = len(self.names) <= _ALL_ROWS
        shown = [
            node for node in range(len(self.names))
            if all_shown or any(_bad(column, node) for column in columns)
        ]  # fmt: skip
        rows = [["NODE", *(column.check.upper() for column in columns)]]
        rows += [[self.names[node], *(_text(column, node) for column in columns)] for node in shown]
        widths = [max(map(len, texts)) for texts in zip(*rows)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        rest = len(self.names) - len(shown)
        fine = "1 more node, which is fine" if rest == 1 else f"{rest} more nodes, which are fine"
        return [*lines, f"and {fine}"] if rest else lines

    def _verdict(self) -> list[str]:
        took = f"({self.seconds:.1f} s)"
        if not self.code:
            return [f"preflight: {self._fine()} {took}"]
        lines = [f"preflight: {'stopped' if self.stopped else 'failed'} {took}"]
        if self.exclude:
            lines.append(f"--exclude={','.join(self.exclude)}")
        if self.exclude_one_of:
            either = " or ".join(f"--exclude={name}" for name in self.exclude_one_of)
            lines.append(f"one of these is at fault, and nothing says which: {either}")
        return lines


def _wrapped(line: str, width: int | None) -> list[str]:
    if not width:
        return [line]
    return textwrap.wrap(
        line, max(width, 40), subsequent_indent=" " * 10,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _bad(column: Column, node: int) -> bool:
    return node in column.cells and column.cells[node].state in (BAD, WARNING)


def _text(column: Column, node: int) -> str:
    """Return what stands in a cell; what is bad can be seen without colours."""
    cell = column.cells.get(node)
    if cell is None:
        return "-"
    return {BAD: f"BAD: {cell.text}", WARNING: f"warn: {cell.text}", OK: cell.text}.get(
        cell.state, cell.text
    )
