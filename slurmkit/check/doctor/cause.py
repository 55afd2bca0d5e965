"""The table of causes, causes.yaml: how each is known in a log, what it means, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

Kind = Literal[
    "first",
    "end",
    "root",
    "error",
    "stall",
    "killed",
    "cancel",
    "hint",
    "aftermath",
    "trace",
    "noise",
    "start",
    "joined",
]
"""What part a line has in a death.

- first: it explains everything else, wherever it stands (host memory).
- end: Slurm ended the job, and says why (time limit, preemption, node failure).
- root: something definite went wrong, whoever complains (memory, disk, port, GPU, command).
- error: the program raised an exception of which nothing more is known.
- stall: one waited for another that did not come (time-outs of collectives, of the rendezvous).
- killed: a process was ended by a signal, and nothing says why.
- cancel: somebody ended the job, or Slurm ended the step after another failure.
- hint: a warning that is the cause only where nothing else is told.
- aftermath: it only follows from another's end (SIGTERM, ChildFailedError, Broken pipe).
- trace: a traceback begins; what was raised may stand on none of the lines that are there.
- noise: it looks bad and is harmless; the line is not read further.
- start: here a new attempt of the job begins; what stands above is past.
- joined: so many processes have come (groups count and world); too few where nothing follows.
"""
Sure = Literal["high", "medium", "low"]

SURE: tuple[Sure, ...] = get_args(Sure)


@dataclass(frozen=True, slots=True, eq=False)
class Cause:
    """One cause, or one kind of line that is none."""

    code: str
    """D01 to D51 as the catalogue has them, our own from D60 on; A.. aftermath, N.. noise."""
    title: str
    """In a few words, for the first line of a verdict."""
    kind: Kind
    patterns: tuple[re.Pattern[str], ...]
    """Searched for in a line without its prefixes (time, rank, node), colours and wrapping.

    Groups named rank and node are taken over. One with groups named count and world fits only
    where more have come than the world has.
    """
    unless: tuple[re.Pattern[str], ...] = ()
    """A line in which one of these is found too is not of this cause."""
    cleared_by: tuple[re.Pattern[str], ...] = ()
    """A later line of the same file that shows that it did no harm."""
    raised_in: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = ()
    """Exceptions that say little, and the innermost frame of a traceback that makes them tell."""
    yields_to: tuple[str, ...] = ()
    """Causes that explain this one: where one of them is found as well, it is the verdict."""
    is_often_harmless: bool = False
    """Whether programs say it and go on, so that it takes a sign of a failure to be sure."""
    broader: str = ""
    """Of our own: the cause of which it is a kind, under whose code it is told."""
    states: tuple[str, ...] = ()
    """States of Slurm (OUT_OF_MEMORY) that say the same without any line."""
    sure: Sure = "high"
    """How sure the verdict is where a line of this is found and nothing speaks against it."""
    meaning: str = ""
    fix: str = ""
    sources: tuple[str, ...] = ()

    def search(self, text: str) -> re.Match[str] | None:
        """Return where the cause is found in a line; None where it is not, or a look-alike is."""
        for pattern in self.patterns:
            match = pattern.search(text)
            if match is not None and (self.kind == "joined" or _is_more(match)):
                return None if any(near.search(text) for near in self.unless) else match
        return None


@cache
def causes() -> tuple[Cause, ...]:
    """Return the table, in the file's order: of two that fit one line, the first one counts."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (resources.files(__package__) / "causes.yaml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = yaml.load(text, Loader=loader)  # noqa: S506  it is a safe one
    return tuple(_cause(row) for row in rows)


@cache
def by_code() -> dict[str, Cause]:
    """Return the causes by their codes."""
    return {cause.code: cause for cause in causes()}


def _cause(row: dict[str, Any]) -> Cause:
    def compiled(name: str) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(text) for text in row.get(name, ()))

    return Cause(
        code=row["code"],
        title=row["title"],
        kind=row["kind"],
        patterns=compiled("patterns"),
        unless=compiled("unless"),
        cleared_by=compiled("cleared_by"),
        raised_in=tuple(
            (re.compile(one["line"]), re.compile(one["frame"])) for one in row.get("raised_in", ())
        ),
        yields_to=tuple(row.get("yields_to", ())),
        is_often_harmless=row.get("is_often_harmless", False),
        broader=row.get("broader", ""),
        states=tuple(row.get("states", ())),
        sure=row.get("sure", "high"),
        meaning=" ".join(row.get("meaning", "").split()),
        fix=" ".join(row.get("fix", "").split()),
        sources=tuple(row.get("sources", ())),
    )


def _is_more(match: re.Match[str]) -> bool:
    groups = match.groupdict()
    if not groups.get("count") or not groups.get("world"):
        return True
    return int(groups["count"]) > int(groups["world"])
