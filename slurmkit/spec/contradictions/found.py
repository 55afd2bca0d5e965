"""A contradiction, and the error that tells several of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from slurmkit.spec.errors import Path


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A field, what is wrong with it, and what to do."""

    path: Path
    what: str
    fix: str
    expected: str | None = None


def raise_all(found: Iterable[Contradiction]) -> None:
    """Raise one error that holds all that was found, if anything was."""
    if problems := list(found):
        text = "; ".join(problem.what for problem in problems)
        raise PydanticCustomError("contradictions", "{text}", {"text": text, "found": problems})
