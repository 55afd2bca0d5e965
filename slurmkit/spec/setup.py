"""environment.setup, read by bash without running it: a stray quote is told before the job runs."""

from __future__ import annotations

from collections.abc import Mapping

from slurmkit.spec.bash import complaint
from slurmkit.spec.errors import Path, Place, Problem, SpecError, shown
from slurmkit.spec.model import JobSpec


def check_setup(spec: JobSpec, places: Mapping[Path, Place]) -> None:
    """Refuse lines of setup that bash cannot read; without bash here nothing is checked.

    Raises:
        SpecError: with the entry that bash names.
    """
    setup = spec.environment.setup
    told = complaint("\n".join(setup).encode()) if setup else None
    if told is None or not told.is_fatal:
        return
    index = _entry(setup, told.line)
    place: Place | None = None
    for path in (("environment", "setup", index), ("environment", "setup"), ("environment",)):
        place = place or places.get(path)
    raise SpecError(
        [
            Problem(
                f"bash cannot read it: {told.words}",
                place or Place("environment.setup"),
                f"environment.setup[{index}]",
                shown(setup[index]),
                fix="close what is open ('…', \"…\", {…}, if … fi), or take out what closes "
                "nothing; all lines of setup are read as one script",
            )
        ]
    )


def _entry(setup: list[str], line: int) -> int:
    """Return the entry of setup that holds a line of the whole, counted from 1."""
    for index, text in enumerate(setup):
        line -= text.count("\n") + 1
        if line <= 0:
            return index
    return len(setup) - 1
