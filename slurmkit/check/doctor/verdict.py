"""What the doctor says: causes with their evidence, the first of them the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slurmkit.check.finding import Finding

if TYPE_CHECKING:
    from slurmkit.check.doctor.cause import Sure
    from slurmkit.check.doctor.event import Line

UNKNOWN = "unknown"
DONE = "COMPLETED"
"""The state of a job that did not fail: whatever its logs name, it went on behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Finding):
    """A cause of a job's death; `what` is its title."""

    detail: str | None = None
    """The code of a cause that is a kind of `code`, and is what the words are about."""
    confidence: Sure
    rank: int | None = None
    node: str | None = None
    time: str | None = None
    """As the log has it: `2026-11-21 08:15:30`."""
    lines: tuple[Line, ...] = ()
    """The line that tells, and for an exception the one that raised it."""
    more: tuple[tuple[str, Line], ...] = ()
    """Further lines, each with what it is to the verdict."""
    is_awaited: bool = False
    """Whether the rank is that for which the others waited."""
    meaning: str = ""

    @property
    def who(self) -> str:
        """The rank and the node, as far as they are known: `rank 3 on node2`."""
        rank = f"rank {self.rank}" if self.rank is not None else ""
        who = f"{rank} on {self.node}".strip() if self.node else rank
        return f"{who}, for which the others waited" if who and self.is_awaited else who

    @property
    def is_known(self) -> bool:
        """Tell whether it names a cause."""
        return self.code != UNKNOWN

    @property
    def is_telling(self) -> bool:
        """Tell whether it names a cause, or at least who failed first."""
        return self.is_known or bool(self.who)

    def in_a_line(self) -> str:
        """Return it in one line: `D27 out of GPU memory (rank 3 on node2): …`."""
        who = f" ({self.who})" if self.who and self.who not in self.what else ""
        said = f": {self.evidence.strip()}" if self.evidence and self.is_known else ""
        head = f"{self.code} {self.what}" if self.is_known else self.what
        return f"{head}{who}{said}"

    def data(self) -> dict[str, Any]:
        """Return it for another program."""
        lines = (*self.lines, *(line for _, line in self.more))
        evidence = [{"file": one.file, "line": one.line, "text": one.text} for one in lines]
        return {
            "cause": self.code,
            "detail": self.detail,
            "title": self.what,
            "confidence": self.confidence,
            "rank": self.rank,
            "node": self.node,
            "time": self.time,
            "evidence": evidence,
            "meaning": self.meaning,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that is to say of a job, or of some logs."""

    findings: tuple[Verdict, ...]
    """The verdict, then what else was found; empty where nothing looks like a failure."""
    files: int = 0
    """How many were read."""

    @property
    def verdict(self) -> Verdict | None:
        """The first cause."""
        return self.findings[0] if self.findings else None
