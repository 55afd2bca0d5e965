"""Whether bash can read a script: told by bash itself, which runs none of it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

_PATIENCE = 5.0
_SAID = re.compile(r"line (\d+): (.*)")


@dataclass(frozen=True)
class Complaint:
    """What bash says of a script."""

    line: int
    """Where bash was, from 1; at the end of the script the number may be one too many."""
    words: str
    is_fatal: bool
    """False for a warning: bash goes on."""


def complaint(script: bytes) -> Complaint | None:
    """Return bash's first complaint; None where it has none, or there is no bash here."""
    # Patterns such as !(a|b) are no syntax until a line turns extglob on, and -n runs no line.
    command = ("bash", "--noprofile", "--norc", "-O", "extglob", "-n")
    try:
        ran = subprocess.run(
            command, input=script, env={"LC_ALL": "C"}, capture_output=True, check=False,
            timeout=_PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    said = _SAID.search(ran.stderr.decode(errors="replace"))
    return Complaint(int(said[1]), said[2], ran.returncode != 0) if said else None
