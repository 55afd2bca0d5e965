"""A diagnosis as people read it: verdict, evidence, what it means, what helps."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.check.doctor.verdict import DONE

if TYPE_CHECKING:
    from slurmkit.check.doctor.cause import Cause
    from slurmkit.check.doctor.event import Line
    from slurmkit.check.doctor.verdict import Diagnosis, Verdict

_NAME = 9
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def lines(found: Diagnosis, state: str | None = None, width: int = 100) -> list[str]:
    """Return a diagnosis.

    Args:
        found: the diagnosis.
        state: Slurm's word on it.
        width: characters of a line.
    """
    verdict = found.verdict
    if verdict is None:
        files = "1 file" if found.files == 1 else f"{found.files} files"
        told = f"; Slurm says {state}" if state else ""
        return [f"no sign of a failure in {files}{told}"]
    if state == DONE:
        return [
            f"{DONE}: it did not fail; what its logs name is most likely harmless:",
            *(_cut(f"  {_plain(one.in_a_line())}", width) for one in found.findings),
        ]
    head = f"{verdict.code}: {verdict.what}" if verdict.is_known else verdict.what
    shown = [head, *_facts(verdict, width)]
    above = [one for one in found.findings[1:] if _is_above(one, verdict)]
    below = [one for one in found.findings[1:] if one not in above]
    for said, others in (("above that line", above), ("and most likely what followed", below)):
        if others:
            shown += ["", f"also seen, {said}:"]
            shown += [_cut(f"  {_plain(other.in_a_line())}", width) for other in others]
    if verdict.is_known:
        shown += ["", f"more on it: slurmkit doctor --explain {verdict.detail or verdict.code}"]
    return shown


def _is_above(one: Verdict, other: Verdict) -> bool:
    """Tell whether a cause stands above another in the same file."""
    if not (one.lines and other.lines) or one.lines[0].file != other.lines[0].file:
        return False
    return one.lines[0].line < other.lines[0].line


def explained(cause: Cause, width: int = 88) -> list[str]:
    """Return what is known of a cause."""
    return [
        f"{cause.code}: {cause.title}",
        *_row("meaning", cause.meaning, width),
        *_row("fix", cause.fix, width),
        *_row("state", ", ".join(cause.states), width),
        *_row("seen in", ", ".join(cause.sources), width),
    ]


def _facts(verdict: Verdict, width: int) -> list[str]:
    shown = _row("who", verdict.who, width) + _row("when", verdict.time or "", width)
    raised_at = "raised at" if verdict.is_known else ""
    named = [(raised_at if number else "line", one) for number, one in enumerate(verdict.lines)]
    for name, line in (*named, *verdict.more):
        shown += [f"  {name:<{_NAME}} {_place(line)}"]
        shown += [f"  {'':<{_NAME}}   {_cut(_plain(line.text), 4 * width)}"]
    return [
        *shown,
        *_row("meaning", verdict.meaning, width),
        *_row("fix", verdict.fix, width),
        *_row("sure", {"high": "yes", "medium": "likely", "low": "no"}[verdict.confidence], width),
    ]


def _row(name: str, text: str, width: int) -> list[str]:
    if not text:
        return []
    rows = textwrap.wrap(_plain(text), max(width - _NAME - 3, 30), break_on_hyphens=False)
    return [f"  {name if at == 0 else '':<{_NAME}} {row}" for at, row in enumerate(rows)]


def _place(line: Line) -> str:
    if not line.line:  # Slurm's word
        return line.file
    path, here = Path(line.file), Path.cwd()
    shown = path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
    return f"{shown}:{line.line}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _plain(text: str) -> str:
    """Return text without what would move a terminal's cursor."""
    return _CONTROL.sub(" ", text)
