"""The tasks of an array in a compact table: of a sweep a line a point, while they are few.

Of an array without a table of points, and of a large sweep, neighbours that fare alike are one
line.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.observe import table
from slurmkit.observe.status import last_metrics
from slurmkit.observe.times import show_duration

if TYPE_CHECKING:
    from slurmkit.observe.status import Detail
    from slurmkit.slurm.records import Record

MOST = 50
"""Points that have a line of their own."""
_HEADER = ("STATE", "NODES", "ELAPSED", "LOSS", "WHY")

Points = dict[int, dict[str, str]]
"""The values of each point, by the swept fields."""


def points(detail: Detail, width: int | None = None) -> list[str]:
    """Return the lines of the table."""
    swept = swept_values(detail)
    each = bool(swept) and len(detail.records) <= MOST
    fields = list(next(iter(swept.values()))) if each else []
    key = (lambda record: record.id) if each else _alike
    groups = [list(group) for _, group in groupby(detail.records, key=key)]
    rows = [_row(detail, group, swept, fields) for group in groups]
    header = ["TASKS", *_short(fields), *_HEADER]
    lines = table.lines(
        header, rows, width=width, flexible=(len(header) - 1, len(fields) + 2, *_where(fields))
    )
    if swept and not each:
        more = f"values and metrics of each point: slurmkit status {detail.entry.id} --json"
        lines += ["", f"  more than {MOST} points; {more}"]
    return lines


def swept_values(detail: Detail) -> Points:
    """Return the values of a sweep's points, from the table that its tasks wrote; {} without."""
    if not detail.entry.directory:
        return {}
    try:
        path = Path(detail.entry.directory).with_name(detail.entry.array_id) / "sweep.tsv"
        header, *lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    fields = header.split("\t")[1:]
    rows = [line.split("\t") for line in lines]
    return {
        int(row[0]): dict(zip(fields, row[1:], strict=False)) for row in rows if row[0].isdigit()
    }


def point_of(record: Record, swept: Points) -> dict[str, str]:
    """Return the values of the point that a task is."""
    index = _index(record)
    return swept.get(int(index), {}) if index.isdigit() else {}


def _short(fields: list[str]) -> list[str]:
    """Return the last part of each field's path; the whole path where that is not its own."""
    last = [field.rpartition(".")[2] for field in fields]
    return [
        part if last.count(part) == 1 else field for part, field in zip(last, fields, strict=True)
    ]


def _where(fields: list[str]) -> range:
    return range(1, len(fields) + 1)


def _alike(record: Record) -> tuple[str, str, str]:
    """Tasks that run are told one by one, the others by how they fare."""
    alone = record.id if record.state.phase == "live" else ""
    return record.state.name, _why(record), alone


def _row(
    detail: Detail, records: list[Record], swept: Points, fields: list[str]
) -> tuple[str, ...]:
    first, last = records[0], records[-1]
    alone = len(records) == 1
    name = _index(first) if alone else f"{_index(first)}-{_index(last)}"
    metrics = last_metrics(detail.run_of(first)) if alone else None
    loss = (metrics or {}).get("loss")
    values = point_of(first, swept)
    return (
        name,
        *(values.get(field, "").strip('"') for field in fields),
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
