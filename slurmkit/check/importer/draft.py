"""The job file that is being made, and what there is to tell about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["changed", "still", "fixed", "kept", "moved", "dropped"]
"""changed: look at it; still: a warning of lint's that holds; fixed: was an error; kept: verbatim;
moved: slurmkit does it; dropped: not needed any more."""


@dataclass(frozen=True)
class Note:
    """What became of a part of the script, where that is not plain from the job file."""

    line: int
    kind: Kind
    what: str
    why: str


@dataclass(frozen=True)
class Kept:
    """An entry of environment.setup."""

    text: str
    comment: str = ""
    """Where it is from, for the job file's reader."""


@dataclass
class Draft:
    """A job file in the making."""

    name: str = "job"
    fields: dict[str, Any] = field(default_factory=dict)
    """The parts of the job file, each with its fields."""
    setup: list[Kept] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)
    """Lines of setup that work out what an argument needs."""
    needed: dict[str, int] = field(default_factory=dict)
    """Variables of the script that the program's words read, and the line of the first."""
    exported: set[str] = field(default_factory=set)
    """Those of them that are read on the nodes."""
    foreign: set[str] = field(default_factory=set)
    """Variables that the program's words read and the script does not set itself."""
    swept: set[str] = field(default_factory=set)
    """Variables of a loop that has become a sweep."""
    handed: set[str] = field(default_factory=set)
    """Options of plugins of sbatch's that the program is given."""
    notes: list[Note] = field(default_factory=list)

    def put(self, part: str, name: str, value: Any) -> None:
        """Set a field."""
        self.fields.setdefault(part, {})[name] = value

    def get(self, part: str, name: str) -> Any:
        """Return a field, None where it is not set."""
        return self.fields.get(part, {}).get(name)

    def add(self, part: str, name: str, values: Iterable[Any]) -> None:
        """Append to a list."""
        self.fields.setdefault(part, {}).setdefault(name, []).extend(values)

    def set(self, part: str, name: str, key: str, value: Any) -> None:
        """Set a key of a mapping."""
        self.fields.setdefault(part, {}).setdefault(name, {})[key] = value

    def note(self, line: int, kind: Kind, what: str, why: str) -> None:
        """Tell about a line."""
        note = Note(line, kind, " ".join(what.split()), why)
        if note not in self.notes:
            self.notes.append(note)
