"""The loss over the steps, drawn by matplotlib."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from matplotlib.axes import Axes


def plot(
    rows: Iterable[Mapping[str, Any]],
    *,
    y: str = "loss",
    axes: Axes | None = None,
    labels: Mapping[int, str] | None = None,
) -> Axes:
    """Draw one field of a job's metrics over the steps; of an array, a line a task.

    Args:
        rows: the metrics.
        y: the field that is drawn.
        axes: where to draw; a new figure when not given.
        labels: what to call an array's tasks.

    Raises:
        ImportError: there is no matplotlib.
        ValueError: no row has a step and this field.
    """
    rows = list(rows)
    lines: dict[Any, list[tuple[Any, Any]]] = defaultdict(list)
    for row in rows:
        if row.get("step") is not None and row.get(y) is not None:
            lines[row.get("task")].append((row["step"], row[y]))
    if not lines:
        names = sorted({name for row in rows for name in row})
        there = f"fields are {', '.join(names)}" if names else "there are no metrics yet"
        raise ValueError(f"nothing to draw, no row has step and {y}: {there}")
    axes = axes if axes is not None else _new_axes()
    for task, points in lines.items():
        label = None if task is None else (labels or {}).get(task) or f"task {task}"
        axes.plot(*zip(*points, strict=True), label=label)
    axes.set_xlabel("step")
    axes.set_ylabel(y)
    if len(lines) > 1:
        axes.legend()
    return axes


def _new_axes() -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "plots need matplotlib: pip install 'slurmkit-torch[plot]'", name=error.name
        ) from None
    axes: Axes = pyplot.subplots()[1]
    return axes
