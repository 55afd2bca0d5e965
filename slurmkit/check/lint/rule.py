"""What a rule is: its facts, in the YAML files of `rules/`, and the function that looks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slurmkit.check.finding import Finding, Severity
from slurmkit.check.script.source import Span

if TYPE_CHECKING:
    from slurmkit.check.lint.job import Job

Fixable = Literal["yes", "suggest", "no"]
"""yes: `--fix` does it; suggest: a person decides; no: only the finding."""


@dataclass(frozen=True)
class Rule:
    """A row of `rules.yaml`."""

    code: str
    severity: Severity
    """The usual one; a finding may have another."""
    fixable: Fixable
    title: str
    """What is wrong, in a few words."""
    why: str
    """What happens, and when."""
    fix: str
    """What to do."""
    bad: str = ""
    good: str = ""
    sources: tuple[str, ...] = ()
    exceptions: str = ""
    """When it is right, and nothing is reported."""


@dataclass(frozen=True)
class Edit:
    """Bytes of the file that a fix replaces."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Finding):
    """A finding in a script."""

    span: Span
    edits: tuple[Edit, ...] = ()
    """What `--fix` does; empty where a person decides."""
    why: str = ""
    """What happens in this case, where a rule has several; empty: the rule's own words."""


Looks = Callable[["Job"], Iterator[Found]]
CHECKS: dict[str, Looks] = {}
"""The functions by code, filled by the modules in `rules/`."""


def rule(code: str) -> Callable[[Looks], Looks]:
    """Make a function the one that looks for a code."""

    def keep(function: Looks) -> Looks:
        assert code not in CHECKS, code
        CHECKS[code] = function
        return function

    return keep


@cache
def rules() -> dict[str, Rule]:
    """Return the rules by code, in their order."""
    import yaml

    found: dict[str, Rule] = {}
    for path in sorted(Path(__file__).parent.glob("rules/*.yaml")):
        text = path.read_text(encoding="utf-8")
        rows: list[dict[str, Any]] = yaml.load(text, Loader=yaml.CSafeLoader)
        for row in rows:
            row["sources"] = tuple(row.get("sources", ()))
            found[row["code"]] = Rule(**row)
    return dict(sorted(found.items()))
