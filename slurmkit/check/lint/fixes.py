"""Applies the edits of findings, and writes a script back."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from slurmkit.check.lint.rule import Edit, Found

_ROUNDS = 20  # a fix may bring out what another rule finds, but not for ever


@dataclass(frozen=True)
class Fixed:
    """A script after its fixes."""

    data: bytes
    done: tuple[Found, ...] = ()
    """What was fixed; the places are those of the script as it then was."""


def fix(data: bytes, look: Callable[[bytes], Iterable[Found]]) -> Fixed:
    """Apply all edits that `look` finds, again and again until it finds none.

    Args:
        data: The script.
        look: Returns what is wrong with a script.
    """
    done: list[Found] = []
    useless: set[str] = set()
    found = list(look(data))
    for _ in range(_ROUNDS):
        chosen = _apart(finding for finding in found if finding.code not in useless)
        if not chosen:
            break
        after = _applied(data, (edit for finding in chosen for edit in finding.edits))
        left = list(look(after))
        still = {f.code for f in chosen if _count(left, f.code) >= _count(found, f.code)}
        if still:  # a fix after which the same is found is none
            useless |= still
        else:
            data, found = after, left
            done += chosen
    return Fixed(data, tuple(done))


def _count(found: Iterable[Found], code: str) -> int:
    return sum(finding.code == code and bool(finding.edits) for finding in found)


def _apart(found: Iterable[Found]) -> list[Found]:
    """Return the findings whose edits do not touch those of an earlier one."""
    chosen: list[Found] = []
    taken: list[Edit] = []
    for finding in found:
        is_free = not any(_touch(edit, other) for edit in finding.edits for other in taken)
        if finding.edits and is_free:
            chosen.append(finding)
            taken += finding.edits
    return chosen


def _touch(one: Edit, other: Edit) -> bool:
    """Tell whether two edits want the same bytes, or put the same in at one place."""
    if one.span == other.span and one.span.start == one.span.end:
        return one.text == other.text
    return one.span.start < other.span.end and other.span.start < one.span.end


def _applied(data: bytes, edits: Iterable[Edit]) -> bytes:
    backwards = [*edits][::-1]  # of several insertions at one place, the last goes in first
    for edit in sorted(backwards, key=lambda edit: edit.span, reverse=True):
        text = edit.text.encode(errors="surrogateescape")
        data = data[: edit.span.start] + text + data[edit.span.end :]
    return data


def diff(name: str, before: bytes, after: bytes) -> str:
    """Return a unified diff of a script; empty where nothing changes."""
    shown = name.lstrip("/")
    rows = difflib.unified_diff(_lines(before), _lines(after), f"a/{shown}", f"b/{shown}")
    return "".join(row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n"
                   for row in rows)  # fmt: skip


def _lines(data: bytes) -> list[str]:
    """Return the lines with their ends, the unreadable bytes kept as they are."""
    said = data.decode(errors="surrogateescape")
    rows = said.split("\n")
    return [f"{row}\n" for row in rows[:-1]] + [row for row in rows[-1:] if row]


def write(path: Path, data: bytes) -> None:
    """Replace a script in one go, keeping its mode; of a link, the file that it leads to."""
    path = path.resolve()
    mode = path.stat().st_mode
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        part.chmod(mode & 0o7777)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
