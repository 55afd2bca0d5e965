"""A job's metrics: the lines of `metrics/NAME.jsonl` as rows, or as a table of pandas'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slurmkit.launch.rundir import RunDirectory, read_json_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LOG = "train_log"
"""The metrics of the training itself; others are `eval_log`, `expert_usage`, …"""


def read_metrics(
    runs: Sequence[RunDirectory],
    name: str = LOG,
    points: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of one file of metrics; of an array, each with its task and parameters.

    Args:
        runs: run directories, `123`, or of array tasks, `123_4`.
        name: the file, without `.jsonl`.
        points: the parameters of array tasks by their ids.
    """
    rows = []
    for run in runs:
        _, array, task = run.path.name.partition("_")
        own: dict[str, Any] = {}
        if array and task.isdigit():
            own = {"task": int(task), **(points or {}).get(run.path.name, {})}
        rows += [{**own, **row} for row in read_json_lines(run.metrics / f"{name}.jsonl")]
    return rows


def read_points(directory: Path) -> dict[str, dict[str, Any]]:
    """Return the parameters of an array's tasks by their ids, `123_4`, from its `sweep.tsv`.

    A parameter goes by the last word of its dotted path; by all of it, where that is not its own.
    """
    try:
        text = (directory / "sweep.tsv").read_text(encoding="utf-8")
    except OSError:
        return {}
    from slurmkit.spec.document import parse
    from slurmkit.spec.shape import ANYTHING, to_data

    header, *rows = (line.split("\t") for line in text.splitlines())
    names = _short(header[1:])
    points = {}
    for number, *cells in rows:
        nodes = [parse(cell, "sweep.tsv") for cell in cells]
        values = [to_data(node, ANYTHING, (), {}) if node else None for node in nodes]
        points[f"{directory.name}_{number}"] = dict(zip(names, values, strict=True))
    return points


def _short(paths: list[str]) -> list[str]:
    last = [path.rpartition(".")[2] for path in paths]
    known = ("task", "time", "step", "loss")
    return [
        path if last.count(word) > 1 or word in known else word
        for path, word in zip(paths, last, strict=True)
    ]


def as_table(rows: list[dict[str, Any]]) -> Any:
    """Return a DataFrame where there is pandas, else the rows as they are."""
    try:
        from pandas import DataFrame
    except ImportError:
        return rows
    return DataFrame(rows)
