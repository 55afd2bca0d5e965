"""`# slurmkit: ignore=SK101,SK203`: what a script says is meant."""

from __future__ import annotations

import re
from collections.abc import Callable

from slurmkit.check.script.read import Script
from slurmkit.check.script.source import Source

COMMENT = re.compile(rb"#[ \t]*slurmkit:[ \t]*ignore\b([^\n#]*)")
CODE = re.compile(r"\b(?:SK)?(\d{3})\b", re.IGNORECASE)


def ignored(script: Script) -> Callable[[str, int], bool]:
    r"""Return a function that tells whether a code is ignored on a line.

    The comment stands on the line itself, or alone on the line above it; without codes it is for
    all. A command that goes on behind a `\` is one line: its comment stands behind or above it.
    Above the first directive or command it is for the whole file.
    """
    source = script.source
    wholes = _wholes(source)
    ignored_in: dict[int, set[str]] = {}
    everywhere: set[str] = set()
    first_directive = script.directives.lines[0].number if script.directives.lines else None
    first_command = source.place(script.directives.end)[0]
    head = min(first_directive or first_command, first_command)
    below: dict[int, int] = {}  # of a line with nothing but such a comment: which one it is for
    for match in reversed(list(COMMENT.finditer(source.data))):
        said = match[1].decode(errors="replace")
        codes = {f"SK{code}" for code in CODE.findall(said)} or {"*" if "=" not in said else ""}
        line = source.place(match.start())[0]
        ignored_in.setdefault(wholes[line - 1], set()).update(codes)
        if not source.data[source.starts[line - 1] : match.start()].strip():
            everywhere |= codes if line < head else set()
            below[line] = below.get(line + 1, line + 1)
            if below[line] <= len(wholes):
                ignored_in.setdefault(wholes[below[line] - 1], set()).update(codes)
    return lambda code, line: bool(
        {code, "*"} & (ignored_in.get(wholes[line - 1], set()) | everywhere)
    )


def _wholes(source: Source) -> list[int]:
    r"""Return for each line the first one of those that `\` at their ends make one."""
    found: list[int] = []
    goes_on = False
    for line in range(1, len(source.starts) + 1):
        found.append(found[-1] if goes_on else line)
        text = source.line_text(line)
        goes_on = text.endswith("\\") and not text.lstrip().startswith("#")
    return found
