"""The tables of docs/follow.md: Slurm's states and reasons, written from slurmkit's own tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slurmkit.slurm.reasons import known_reasons
from slurmkit.slurm.states import known_states
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "follow.md"
PHASES = {"waiting": "waits", "live": "runs", "good": "ended well", "bad": "ended badly"}


def state_table() -> str:
    """Give the table of states."""
    states = known_states().values()
    return _table(
        ("state", "the job", "in words"),
        ((f"`{state.name}`", PHASES[state.phase], state.words) for state in states),
    )


def reason_table() -> str:
    """Give the table of reasons."""
    reasons = known_reasons().values()
    rows = ((f"`{r.name}`", r.words.replace("{}", "…"), _code(r.fix)) for r in reasons)
    return _table(("reason", "in words", "what helps"), rows)


def with_tables(page: str) -> str:
    """Give the page with the tables of this day: each is all that its section holds."""
    for heading, table in (("States", state_table()), ("Reasons", reason_table())):
        head, mark, rest = page.partition(f"\n## {heading}\n")
        assert mark, heading
        intro, _, behind = rest.partition("\n| ")
        _, section, more = behind.partition("\n## ")
        page = f"{head}{mark}{intro}\n{table}" + (f"\n## {more}" if section else "")
    return page


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _code(fix: str) -> str:
    """Set a command in its letters."""
    words = ("scontrol ", "sacctmgr ", "slurmkit ", "sinfo ")
    head, colon, tail = fix.rpartition(": ")
    if tail.startswith(words) and " and " not in tail:
        command, comma, more = tail.partition(", ")
        return f"{head}{colon}`{command}`{comma}{more}"
    return fix.replace("|", "\\|")
