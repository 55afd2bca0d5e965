"""The config of a program that comes with slurmkit, checked by the program's own model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from slurmkit.spec.contradictions.found import Contradiction
from slurmkit.spec.contradictions.sweep import wrong_fields
from slurmkit.spec.errors import nearest, shown
from slurmkit.spec.program import PACKAGE, config_model, is_wrapper, programs

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec
    from slurmkit.spec.sweep import Axis

_TOLD = 50
_CONFIG = ("entrypoint", "config")
_Chosen = Sequence[tuple["Axis", int]]
"""One point of a sweep: which value of each swept field."""


def config(spec: JobSpec) -> Iterator[Contradiction]:
    """Find what the program would refuse; of a sweep each point is looked at."""
    modules = [spec.entrypoint.module, *spec.sweep.get("entrypoint.module", [])]
    if not any(str(module).startswith(PACKAGE) for module in modules):
        return
    from slurmkit.spec.sweep import axes, put

    if any(True for _ in wrong_fields(spec)):
        return  # which is told already
    swept = [a for a in axes(spec) if a.kind == "config" or a.field == "entrypoint.module"]
    yield from islice(_points(spec, swept, put), _TOLD)


def _points(spec: JobSpec, swept: list[Axis], put: Any) -> Iterator[Contradiction]:
    entry, seen = spec.entrypoint, set()
    for indices in product(*(range(len(axis.values)) for axis in swept)):
        chosen = list(zip(swept, indices, strict=True))
        data = {"entrypoint": {"module": entry.module, "config": deepcopy(entry.config)}}
        for axis, index in chosen:
            put(data, axis.path, axis.values[index])
        for found in _problems(spec, data["entrypoint"]):
            told = _in_sweep(found, chosen)
            if (told.path, told.what) not in seen:
                seen.add((told.path, told.what))
                yield told


def _in_sweep(found: Contradiction, chosen: _Chosen) -> Contradiction:
    """Move a problem to the swept value that it lies in, or that has a part in it."""
    path = found.path
    for axis, index in chosen:
        if path[: len(axis.path)] == axis.path:
            where = ("sweep", axis.field, index, *path[len(axis.path) :])
            return Contradiction(where, found.what, found.fix, found.expected)
    parts = [(axis, index) for axis, index in chosen if axis.path[: len(path)] == path]
    if not parts:
        return found
    *others, (last, index) = parts
    what = found.what
    if others:
        values = ", ".join(f"{axis.field}: {shown(axis.values[i])}" for axis, i in others)
        what += f" (with {values})"
    return Contradiction(("sweep", last.field, index), what, found.fix, found.expected)


def _problems(spec: JobSpec, entry: dict[str, Any]) -> Iterator[Contradiction]:
    """Find what is wrong with one program and its config."""
    module, values = entry["module"], entry["config"]
    if not isinstance(module, str) or not module.startswith(PACKAGE) or is_wrapper(module):
        return
    if module not in (known := programs()):
        like = nearest(module, known, 0.8)
        fix = f"did you mean {like}?" if like else f"write one of {', '.join(known)}"
        yield Contradiction(("entrypoint", "module"), "slurmkit has no such program", fix)
        return
    if values is None and spec.entrypoint.args:
        return  # they may name a config file, which is the program's to read
    model = config_model(module)
    try:
        checked = model.model_validate({} if values is None else values)
    except ValidationError as error:
        from slurmkit.spec.config_errors import explain_config

        yield from explain_config(error, model, values or {})
        return
    misfits = getattr(checked, "misfits", None)
    if misfits is not None:
        for path, what, fix in misfits(spec.resources.nodes, spec.processes_per_node):
            yield Contradiction((*_CONFIG, *path), what, fix)
