"""`# slurmkit: ignore=SK101,SK203`: what a script says is meant."""

from __future__ import annotations

import re
from collections.abc import Callable

from slurmkit.check.script.read import Script

_COMMENT = re.compile(rb"#[ \t]*slurmkit:[ \t]*ignore(?:=([\w,; \t]+))?")


def ignored(script: Script) -> Callable[[str, int], bool]:
    """Return a function that tells whether a code is ignored on a line.

    The comment stands on the line itself, or alone on the line above it; without codes it is for
    all. Above the first directive or command it is for the whole file.
    """
    source = script.source
    lines: dict[int, set[str]] = {}
    everywhere: set[str] = set()
    first_directive = script.directives.lines[0].number if script.directives.lines else None
    first_command = source.place(script.directives.end)[0]
    head = min(first_directive or first_command, first_command)
    for match in _COMMENT.finditer(source.data):
        codes = {code.upper() for code in re.findall(r"\w+", (match[1] or b"").decode())} or {"*"}
        line = source.place(match.start())[0]
        is_alone = not source.data[source.starts[line - 1] : match.start()].strip()
        if is_alone and line < head:
            everywhere |= codes
        lines.setdefault(line, set()).update(codes)
        if is_alone:
            lines.setdefault(line + 1, set()).update(codes)
    return lambda code, line: bool({code, "*"} & (lines.get(line, set()) | everywhere))
