"""What a check found: a code, a place, what is wrong, the evidence, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or probably is."""

    code: str
    """Its short name, such as `port-blocked`."""
    place: str
    """Where: a host, a file and line, a field."""
    what: str
    """What is wrong."""
    fix: str
    """What to do."""
    evidence: str = ""
    """What was seen."""
    severity: Severity = "error"

    def __str__(self) -> str:
        head = f"{self.place}: {self.what} [{self.code}]"
        head = head if self.severity == "error" else f"{head} ({self.severity})"
        rows = (("seen", self.evidence), ("fix", self.fix))
        return "\n".join([head, *(f"    {name + ':':<6}{text}" for name, text in rows if text)])


def has_errors(findings: Iterable[Finding]) -> bool:
    """Tell whether one of them is more than a warning."""
    return any(finding.severity == "error" for finding in findings)
