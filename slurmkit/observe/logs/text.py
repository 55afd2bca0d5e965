"""Lines on their way to the reader."""

from __future__ import annotations

import re

_CONTROLS = re.compile(
    rb"\x1b\[[0-9;]*m"  # a colour, which stays
    rb"|\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|[ -/]*[0-~]?)"
    rb"|\xc2[\x80-\x9f]|[\x00-\x08\x0b-\x1f\x7f]"
)
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


def for_terminal(line: bytes) -> bytes:
    """Take out what would move the cursor, change the title or ring; leave colours."""
    shown = _CONTROLS.sub(lambda match: match[0] if _COLOUR.fullmatch(match[0]) else b"", line)
    return shown + b"\x1b[0m" if b"\x1b" in shown else shown
