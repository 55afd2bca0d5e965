"""pydantic's errors, told as problems: the place, the value, what was expected and the fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slurmkit.spec.errors import Path, Place, Problem, dotted, shown
from slurmkit.spec.secret import secret_name

if TYPE_CHECKING:
    from pydantic import ValidationError

MOST = 50
"""How many problems are told; nobody reads more."""

_TO_ADD: dict[Path, str] = {
    ("name",): "name: my-job",
    ("entrypoint",): "entrypoint: {script: train.py}",
    ("container", "runtime"): "runtime: pyxis",
}
"""What can be pasted for a field that is missing."""

Places = Mapping[Path, Place]


def explain(
    error: ValidationError, data: Mapping[str, Any], places: Places, default: Place
) -> list[Problem]:
    """Turn a validation error into problems, in the order of the file, one for each path.

    What stands in the job file comes first, then what stands in its profile and in `--set`.
    """

    def order(path: Path) -> tuple[bool, str, int, int]:
        place = _place(path, places, default)
        return place.source != default.source, place.source, place.line or 0, place.column or 0

    items = [dict(item) for item in error.errors(include_url=False)]
    located = sorted(((_path(item, data), item) for item in items), key=lambda pair: order(pair[0]))
    found: dict[Path, Problem] = {}
    for path, item in located[: 2 * MOST]:
        for where, problem in _problems(path, item, data, places, default):
            found[where] = _either(found[where], problem) if where in found else problem
    told = [found[path] for path in sorted(found, key=order)][:MOST]
    more = max(len(located), len(found)) - len(told)
    if len(told) == MOST and more:
        told.append(Problem(f"and about {more} more problems", default, fix="mend these first"))
    return told


def _problems(
    path: Path, item: dict[str, Any], data: Mapping[str, Any], places: Places, default: Place
) -> Iterator[tuple[Path, Problem]]:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "contradictions":
        for one in context["found"]:
            where = (*path, *one.path)
            place = _place(where, places, default)
            yield (
                where,
                Problem(one.what, place, dotted(where), _value(where, data), one.expected, one.fix),
            )
        return
    value = _value(path, data)
    if kind == "slurmkit":
        what, expected, fix = context["what"], context["expected"], context["fix"]
    elif kind == "extra_forbidden":
        from slurmkit.spec.unknown import fix_unknown

        what, expected, fix = "unknown field", None, fix_unknown(path)
        value = None if _may_hold_secrets(path) else value
    elif kind == "missing" and isinstance(path[-1], str):
        below = f" under `{dotted(path[:-1])}:`" if len(path) > 1 else ""
        what, expected, fix = (
            "is missing",
            None,
            f"add `{_TO_ADD.get(path, f'{path[-1]}:')}`{below}",
        )
    else:
        from slurmkit.spec.types import mismatch

        path = path[:-1] if kind == "missing" else path
        value = _value(path, data)
        what, expected, fix = mismatch(kind, item, path)
    yield path, Problem(what, _place(path, places, default), dotted(path), value, expected, fix)


def _either(one: Problem, other: Problem) -> Problem:
    """Join what the branches of a union expected."""
    if None in (one.expected, other.expected) or one.expected == other.expected:
        return one
    expected = f"{one.expected} or {other.expected}"
    return replace(one, expected=expected, fix=f"write {expected}")


def _path(item: dict[str, Any], data: Any) -> Path:
    """Cut what pydantic adds behind a path: the branch of a union, `[key]`."""
    if item["type"] == "missing":
        return tuple(item["loc"])
    path: list[str | int] = []
    for part in item["loc"]:
        if path == ["preflight"] and part == "checks" and _is_list(data):
            continue  # the short form: the list itself
        known = data if isinstance(data, Mapping) else range(len(data) if _is_list(data) else 0)
        if part not in known:
            break
        data = data[part]
        path.append(part)
    return tuple(path)


def _is_list(data: object) -> bool:
    return isinstance(data, (list, tuple))


def _place(path: Path, places: Places, default: Place) -> Place:
    for end in range(len(path), 0, -1):
        if (place := places.get(path[:end])) is not None:
            return place
    return default


def _value(path: Path, data: Any) -> str | None:
    if path in ((), ("environment",)) or "environment.variables" in dotted(path):
        return None  # may hold a secret
    if secret_name(str(path[-1])):
        return None
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(data, (dict, list)) and not data:
        return None
    return "a mapping" if isinstance(data, dict) else shown(data)


def _may_hold_secrets(path: Path) -> bool:
    return path[0] in ("environment", "variables") or secret_name(str(path[-1]))
