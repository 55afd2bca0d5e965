"""Sweeps: dotted paths into the job, each with the values to try.

Every combination is a point: a job of its own, and a task of one job array. The points are numbered
as nested loops would run, the first path of the job file outermost: the last path changes fastest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from slurmkit.spec.errors import Path, Place, Problem, SpecError

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

Kind = Literal["config", "words", "path", "name", "variable"]
"""How the program receives a swept value, which decides how the script carries it."""

MOST_POINTS = 100_000
"""Far more than a script that Slurm takes can hold."""
SWEEPABLE = (
    "entrypoint.config (or what is in it), entrypoint.args, .command, .script, .module "
    "and environment.variables.NAME"
)

_KINDS: dict[Path, Kind] = {
    ("entrypoint", "config"): "config",
    ("entrypoint", "args"): "words",
    ("entrypoint", "command"): "words",
    ("entrypoint", "script"): "path",
    ("entrypoint", "module"): "name",
}


class Axis(NamedTuple):
    """A swept field and its values."""

    field: str
    """The dotted path, as the job file has it."""
    path: tuple[str, ...]
    kind: Kind
    values: list[Any]
    """As the model takes them: what is text there is text here."""


@cache
def kind_of(field: str) -> Kind | None:
    """Return how the program receives a field's value; None where it cannot be swept."""
    path = tuple(field.split("."))
    if path[:2] == ("environment", "variables") and len(path) == 3:
        return "variable"
    if path[:2] == ("entrypoint", "config"):
        return "config"
    return _KINDS.get(path)


def axes(spec: JobSpec) -> list[Axis]:
    """Return the swept fields of a checked job, in the order of the job file."""
    found = []
    for field, values in spec.sweep.items():
        kind = kind_of(field) or "config"  # checked when the job was made
        texts = values if kind == "config" else [_text(value) for value in values]
        found.append(Axis(field, tuple(field.split(".")), kind, texts))
    return found


def count_points(spec: JobSpec) -> int:
    """Return the number of points; 0 for a job without a sweep."""
    return math.prod(map(len, spec.sweep.values())) if spec.sweep else 0


def points(swept: list[Axis]) -> Iterator[tuple[Any, ...]]:
    """Give the values of every point, in the order of the array's tasks."""
    return product(*(axis.values for axis in swept))


def at_point(spec: JobSpec, number: int) -> JobSpec:
    """Return one point of a sweep as a plain job.

    Raises:
        SpecError: the job has no such point.
    """
    from slurmkit.spec.model import JobSpec as Model

    count = count_points(spec)
    if not 0 <= number < count:
        what = f"no point {number}: the sweep has {count}" if count else "the job has no sweep"
        fix = f"name one of 0 to {count - 1}" if count else "leave --point out"
        raise SpecError([Problem(what, Place("--point"), "sweep" if count else "", fix=fix)])
    data = spec.model_dump(by_alias=True, exclude_unset=True, warnings=False)
    data = {key: value for key, value in data.items() if key not in ("sweep", "sweep_limit")}
    for axis, index in zip(axes(spec), indices(spec, number), strict=True):
        put(data, axis.path, axis.values[index])
    return Model.model_validate(data)


def indices(spec: JobSpec, number: int) -> list[int]:
    """Return which value of each swept field a point has."""
    found = []
    for values in reversed(spec.sweep.values()):
        number, index = divmod(number, len(values))
        found.append(index)
    return found[::-1]


def put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put a value into plain data, in place of what stands there."""
    for part in path[:-1]:
        if not isinstance(data.get(part), dict):
            data[part] = {}
        data = data[part]
    data[path[-1]] = value


def _text(value: Any) -> Any:
    """Write numbers and booleans from Python as the model's text fields do."""
    if isinstance(value, list):
        return [_text(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
