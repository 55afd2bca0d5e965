"""What is wrong with a job file, told with the place and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LONGEST_KEY = 80
_YAML_WORDS = {"None": "null", "True": "true", "False": "false", "inf": ".inf", "nan": ".nan"}

Path = tuple[str | int, ...]
"""Where a value stands in the job: ("resources", "nodes") or ("entrypoint", "args", 0)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a source: a file, standard input, an option of the command line."""

    source: str
    line: int | None = None
    """Counted from 1; None where a source has no lines (`--set`)."""
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.source
        return f"{self.source}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: what, where, the value that was found, what was expected and the fix."""

    what: str
    place: Place
    path: str = ""
    """The field as a user writes it: `resources.nodes`."""
    value: str | None = None
    expected: str | None = None
    fix: str | None = None

    def __str__(self) -> str:
        head = (
            f"{self.place}: {self.path}: {self.what}" if self.path else f"{self.place}: {self.what}"
        )
        rows = (("value", self.value), ("expected", self.expected), ("fix", self.fix))
        return "\n".join([head, *(f"    {name + ':':<10}{text}" for name, text in rows if text)])


class SpecError(ValueError):
    """The job file (or profile, or `--set`) is wrong; every problem found is in `problems`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(path: Path) -> str:
    """Write a path as a user does: ("entrypoint", "args", 0) is `entrypoint.args[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = (
                part
                if part.isprintable() and len(part) <= _LONGEST_KEY
                else shown(part, _LONGEST_KEY)
            )
            text += f".{word}" if text else word
    return text


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known word most like `word`, or None when nothing is near."""
    by_plain = {name.replace("-", "_").lower(): name for name in known}
    plain = word[:_LONGEST_KEY].replace("-", "_").lower()
    found = difflib.get_close_matches(plain, by_plain, n=1, cutoff=cutoff)
    return by_plain[found[0]] if found else None


def shown(value: object, limit: int = 80) -> str:
    """Show a value on one line, in YAML's words, cut to `limit` characters."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes out
        text = f"a very large {type(value).__name__}"
    text = _YAML_WORDS.get(text, text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
