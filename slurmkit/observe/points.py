"""The tasks of an array in a compact table: neighbours that fare alike are one line."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from slurmkit.observe import table
from slurmkit.observe.status import last_metrics
from slurmkit.observe.times import show_duration

if TYPE_CHECKING:
    from slurmkit.observe.status import Detail
    from slurmkit.slurm.records import Record

_HEADER = ("TASKS", "STATE", "NODES", "ELAPSED", "LOSS", "WHY")


def points(detail: Detail, width: int | None = None) -> list[str]:
    """Return the lines of the table."""
    rows = [_row(detail, list(group)) for _, group in groupby(detail.records, key=_alike)]
    return table.lines(_HEADER, rows, width=width, flexible=(5, 2))


def _alike(record: Record) -> tuple[str, str, str]:
    """Tasks that run are told one by one, the others by how they fare."""
    alone = record.id if record.state.phase == "live" else ""
    return record.state.name, _why(record), alone


def _row(detail: Detail, records: list[Record]) -> tuple[str, ...]:
    first, last = records[0], records[-1]
    alone = len(records) == 1
    name = _index(first) if alone else f"{_index(first)}-{_index(last)}"
    metrics = last_metrics(detail.run_of(first)) if alone else None
    loss = (metrics or {}).get("loss")
    return (
        name,
        first.state.name,
        first.node_list if alone else "",
        show_duration(first.elapsed) if alone and first.state.phase != "waiting" else "",
        f"{loss:.6g}" if isinstance(loss, int | float) else "",
        _why(first),
    )


def _why(record: Record) -> str:
    from slurmkit.observe.status_text import why

    return why(record)


def _index(record: Record) -> str:
    return record.id.partition("_")[2].strip("[]").partition("%")[0]
