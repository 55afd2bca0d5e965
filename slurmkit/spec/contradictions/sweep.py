"""A sweep that cannot be one job array, or has points that are no valid jobs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from itertools import islice
from typing import TYPE_CHECKING, Any

from slurmkit.spec.contradictions.found import Contradiction
from slurmkit.spec.errors import nearest
from slurmkit.spec.program import PACKAGE

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_TOLD = 50
_NEVER = ("sweep", "sweep_limit", "profile")


def sweep(spec: JobSpec) -> Iterator[Contradiction]:
    """Find swept fields that the job does not have or that cannot differ, and wrong values.

    Each value is checked once, in the job as it stands otherwise. That is enough for all
    combinations: no rule of the job file joins two fields that may be swept, but that the program
    is exactly one, which the value alone breaks as well. (Configs have rules of their own.)
    """
    from slurmkit.spec.sweep import MOST_POINTS

    if spec.sweep_limit is not None and not spec.sweep:
        fix = "drop it, or write a sweep"
        yield Contradiction(("sweep_limit",), "sweep_limit without a sweep", fix)
    count = math.prod(map(len, spec.sweep.values()))
    if count > MOST_POINTS:
        what = f"{count} points, where a job array holds at most {MOST_POINTS}"
        yield Contradiction(("sweep",), what, "sweep fewer values, or fewer fields at once")
    wrong = list(islice(wrong_fields(spec), _TOLD))
    yield from wrong or islice(_values(spec), _TOLD)


def wrong_fields(spec: JobSpec) -> Iterator[Contradiction]:
    """Find swept fields that the job does not have, or that cannot differ."""
    for field in spec.sweep:
        where = ("sweep", field)
        if problem := _missing(spec, field) or _fixed(field):
            yield Contradiction(where, *problem)
        elif above := next((other for other in spec.sweep if field.startswith(f"{other}.")), None):
            yield Contradiction(where, f"{above}, which it is part of, is swept too", "keep one")


def _missing(spec: JobSpec, field: str) -> tuple[str, str] | None:
    """Say why a dotted path leads nowhere in the job, and what to write; None if it exists.

    For `entrypoint.arg`: "entrypoint has no arg" and "did you mean entrypoint.args?".
    """
    first = field.partition(".")[0]
    if first in _NEVER:
        return f"{first} cannot be swept", "sweep other fields"
    here: Any = spec
    walked: list[str] = []
    for part in field.split("."):
        known = _keys(here)
        if part not in known:
            where = ".".join(walked) or "the job"
            like = nearest(part, known)
            if like:
                fix = f"did you mean {'.'.join([*walked, like])}?"
            elif here is None or isinstance(here, dict):
                fix = f"write {where} in the job first, with a value of {part} to start from"
            else:
                fix = f"{where} has {', '.join(known)}" if known else f"sweep {where} as a whole"
            return f"{where} has no {part}", fix
        here = here[part] if isinstance(here, dict) else getattr(here, _name(part))
        walked.append(part)
    return None


def _keys(here: Any) -> list[str]:
    if isinstance(here, dict):
        return list(here)
    fields = getattr(type(here), "model_fields", {})
    return [info.alias or name for name, info in fields.items()]


def _name(part: str) -> str:
    return "pass_" if part == "pass" else part


def _fixed(field: str) -> tuple[str, str] | None:
    """Say why a field must be the same in all tasks of an array; None if it need not."""
    from slurmkit.spec.sweep import SWEEPABLE, kind_of

    if kind_of(field) is not None:
        return None
    if field in ("entrypoint", "environment", "environment.variables"):
        return "too much at once", f"sweep single fields: {SWEEPABLE}"
    what = "the tasks of an array cannot differ in this: they share one script and its options"
    fix = (
        f"take it out of sweep, and run a job for each value: --set {field}=…; "
        f"one array sweeps {SWEEPABLE}"
    )
    return what, fix


def _values(spec: JobSpec) -> Iterator[Contradiction]:
    """Find values that are wrong where they would stand."""
    from slurmkit.spec.sweep import kind_of, put

    program = spec.entrypoint.model_dump(exclude_unset=True, warnings=False)
    for field, values in spec.sweep.items():
        path = tuple(field.split("."))
        if kind_of(field) == "config":
            yield from _config_values(field, values)
        # Of plain data only its place can still be wrong, as under a command, which has no config.
        checked = values[:1] if kind_of(field) == "config" else values
        for index, value in enumerate(checked):
            data: dict[str, Any] = {"name": "x", "entrypoint": deepcopy(program)}
            put(data, path, value)
            _own_program_left_out(data["entrypoint"])
            for what, expected, fix in _told(data, field):
                yield Contradiction(("sweep", field, index), what, fix, expected)


def _own_program_left_out(program: dict[str, Any]) -> None:
    """Name another module for one of ours: all values of a point are its config together.

    contradictions/program.py looks at the points.
    """
    module = program.get("module")
    if isinstance(module, str) and module.startswith(PACKAGE):
        program["module"] = "m"


def _config_values(field: str, values: list[Any]) -> Iterator[Contradiction]:
    """Find what the config cannot hold; plain data the values are already."""
    from slurmkit.spec.plain import MAX_DEPTH

    deep = field.count(".")
    for index, value in enumerate(values):
        where = ("sweep", field, index)
        if field == "entrypoint.config" and not isinstance(value, dict):
            fix = "write a mapping ({} for an empty one), or sweep single fields of config"
            yield Contradiction(where, "wrong type", fix, "a mapping")
        elif deep + _depth(value) > MAX_DEPTH:
            yield Contradiction(where, f"nested deeper than {MAX_DEPTH} levels", "flatten it")


def _depth(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0)


def _told(data: dict[str, Any], field: str) -> Iterator[tuple[str, str | None, str]]:
    """Check a job that holds one value; tell what is wrong with it."""
    from pydantic import ValidationError

    from slurmkit.spec.errors import Place
    from slurmkit.spec.explain import explain
    from slurmkit.spec.model import JobSpec

    try:
        JobSpec.model_validate(data)
    except ValidationError as error:
        for problem in explain(error, data, {}, Place("sweep")):
            inner = problem.path if problem.path != field else ""
            what = f"{inner}: {problem.what}" if inner else problem.what
            yield what, problem.expected, problem.fix or "write another value"
