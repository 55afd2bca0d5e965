"""The states of a job: Slurm's word, what it means for a waiting person, and in plain words.

Source of the table: "JOB STATE CODES" of squeue(1) and sacct(1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

Phase = Literal["waiting", "live", "good", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class State:
    """A state of a job."""

    name: str
    """Slurm's own word, in full: `RUNNING`."""
    phase: Phase
    """waiting, live, good (ended well), bad (ended otherwise) or unknown."""
    words: str
    """What it means."""

    @property
    def is_final(self) -> bool:
        """Tell whether a job stays in this state."""
        return self.phase in ("good", "bad")

    def __str__(self) -> str:
        return self.name


@cache
def known_states() -> dict[str, State]:
    """Return Slurm's states by name."""
    text = (resources.files(__package__) / "states.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return {name: State(name, phase, words) for name, phase, words in rows}  # type: ignore[arg-type]


def read_state(text: str) -> State:
    """Return the state that one of Slurm's commands wrote.

    `CANCELLED by 1000` and `CANCELLED+` are CANCELLED; a state that a newer Slurm may have is
    one of phase unknown.
    """
    name = (text.split(maxsplit=1) or ["UNKNOWN"])[0].rstrip("+").upper()
    return known_states().get(name) or State(name, "unknown", "a state that slurmkit does not know")


def combined(states: list[State]) -> State:
    """Return the state of an array as a whole: the liveliest one, else the worst one.

    An array runs while one task runs, waits while one waits, and has ended well only when every
    task has.
    """
    for phase in ("live", "waiting", "unknown", "bad", "good"):
        for state in states:
            if state.phase == phase:
                return state
    return read_state("")
