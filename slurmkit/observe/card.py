"""A job as a small HTML card, for notebooks: no scripts, no style sheet, light and dark alike."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurmkit.observe.facts import Facts
    from slurmkit.slurm.states import Phase

_COLOURS: dict[Phase, str] = {  # of a middling lightness: to be read on white and on black
    **{"waiting": "#b7791f", "live": "#2b7fd4", "good": "#2f9e58", "bad": "#d64545"},
    "unknown": "#808080",
}
_CARD = (
    "display: inline-block; padding: 0.5em 1em; border: 1px solid #8888; "
    "border-left: 0.3em solid {colour}; border-radius: 0.3em; line-height: 1.5"
)
_NAME = "text-align: left; padding: 0 1em 0 0; opacity: 0.7; font-weight: normal"
_VALUE = "text-align: left; padding: 0"


def card(facts: Facts) -> str:
    """Return the card of a job."""
    state = f'<b style="color: {_COLOURS[facts.state.phase]}">{escape(facts.state.name)}</b>'
    because = facts.reason or (facts.state.words if facts.state.phase == "bad" else "")
    rows = [
        ("state", state + (f", {escape(because)}" if because else "")),
        ("tasks", escape(facts.tasks)),
        ("nodes", str(facts.nodes or "")),
        ("elapsed", escape(facts.elapsed)),
        ("last loss", "" if facts.loss is None else f"{facts.loss:.6g}"),
        ("logs", f"<code>{escape(str(facts.logs))}</code>" if facts.logs else ""),
        *(("note", escape(note)) for note in facts.notes),
    ]
    return _html(_COLOURS[facts.state.phase], facts.id, facts.name, rows)


def card_without_answer(id: str, name: str, why: str) -> str:
    """Return the card of a job whose state cannot be told, and why."""
    return _html(_COLOURS["unknown"], id, name, [("state", f"not known: {escape(why)}")])


def _html(colour: str, id: str, name: str, rows: list[tuple[str, str]]) -> str:
    title = f"job {escape(id)}" + (f" ({escape(name)})" if name else "")
    lines = "".join(
        f'<tr style="background: none"><th style="{_NAME}">{label}</th>'
        f'<td style="{_VALUE}">{value}</td></tr>'
        for label, value in rows
        if value
    )
    return (
        f'<div style="{_CARD.format(colour=colour)}"><b>{title}</b>'
        f'<table style="border: 0; margin: 0; color: inherit; font: inherit">{lines}</table></div>'
    )
