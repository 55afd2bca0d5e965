"""environment.setup, read by bash without running it: a stray quote is told before the job runs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping

from slurmkit.spec.errors import Path, Place, Problem, SpecError, shown
from slurmkit.spec.model import JobSpec

_PATIENCE = 5.0


def check_setup(spec: JobSpec, places: Mapping[Path, Place]) -> None:
    """Refuse lines of setup that bash cannot read; without bash here nothing is checked.

    Raises:
        SpecError: with the entry that bash names.
    """
    setup = spec.environment.setup
    told = _read("\n".join(setup)) if setup else None
    if told is None:
        return
    index = _entry(setup, int(told[1]))
    place: Place | None = None
    for path in (("environment", "setup", index), ("environment", "setup"), ("environment",)):
        place = place or places.get(path)
    raise SpecError(
        [
            Problem(
                f"bash cannot read it: {told[2]}",
                place or Place("environment.setup"),
                f"environment.setup[{index}]",
                shown(setup[index]),
                fix="close what is open ('…', \"…\", {…}, if … fi), or take out what closes "
                "nothing; all lines of setup are read as one script",
            )
        ]
    )


def _read(script: str) -> re.Match[str] | None:
    """Return bash's first complaint: its line and its words."""
    # Patterns such as !(a|b) are no syntax until a line turns extglob on, and -n runs no line.
    command = ("bash", "--noprofile", "--norc", "-O", "extglob", "-n")
    try:
        ran = subprocess.run(
            command, input=script.encode(), env={"LC_ALL": "C"}, capture_output=True,
            check=False, timeout=_PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    words = ran.stderr.decode(errors="replace")
    return re.search(r"line (\d+): (.*)", words) if ran.returncode else None


def _entry(setup: list[str], line: int) -> int:
    """Return the entry of setup that holds a line of the whole, counted from 1."""
    for index, text in enumerate(setup):
        line -= text.count("\n") + 1
        if line <= 0:
            return index
    return len(setup) - 1
