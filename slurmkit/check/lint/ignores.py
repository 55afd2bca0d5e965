"""`# slurmkit: ignore=SK101,SK203`: what a script says is meant."""

from __future__ import annotations

import re
from collections.abc import Callable

from slurmkit.check.script.read import Script
from slurmkit.check.script.source import Source

_COMMENT = re.compile(rb"#[ \t]*slurmkit:[ \t]*ignore\b([^\n#]*)")
_CODE = re.compile(r"\b(?:SK)?(\d{3})\b", re.IGNORECASE)


def ignored(script: Script) -> Callable[[str, int], bool]:
    r"""Return a function that tells whether a code is ignored on a line.

    The comment stands on the line itself, or alone on the line above it; without codes it is for
    all. A command that goes on behind a `\` is one line: its comment stands behind or above it.
    Above the first directive or command it is for the whole file.
    """
    source = script.source
    lines: dict[int, set[str]] = {}
    everywhere: set[str] = set()
    first_directive = script.directives.lines[0].number if script.directives.lines else None
    first_command = source.place(script.directives.end)[0]
    head = min(first_directive or first_command, first_command)
    alone = set()
    for match in reversed(list(_COMMENT.finditer(source.data))):
        said = match[1].decode(errors="replace")
        codes = {f"SK{code}" for code in _CODE.findall(said)} or {"*" if "=" not in said else ""}
        line = source.place(match.start())[0]
        covered = [*_whole(source, line)]
        if not source.data[source.starts[line - 1] : match.start()].strip():
            everywhere |= codes if line < head else set()
            following = line + 1
            while following in alone:
                following += 1
            alone.add(line)
            covered = [line, *_whole(source, following)]
        for number in covered:
            lines.setdefault(number, set()).update(codes)
    return lambda code, line: bool({code, "*"} & (lines.get(line, set()) | everywhere))


def _whole(source: Source, line: int) -> range:
    r"""Return the lines that a line makes one with, by the `\` at their ends."""
    first = last = line
    while first > 1 and source.line_text(first - 1).endswith("\\"):
        first -= 1
    while last < len(source.starts) and source.line_text(last).endswith("\\"):
        last += 1
    return range(first, last + 1)
