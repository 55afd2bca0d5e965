"""pydantic's errors, told as problems: the place, the value, what was expected and the fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from slurmkit.spec.errors import Path, Place, Problem, dotted, nearest, shown
from slurmkit.spec.shape import Shape, model_shape

if TYPE_CHECKING:
    from pydantic import ValidationError

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list of two numbers",
    "dict_type": "a mapping",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_short": "some text",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length}",
}


def explain(
    error: ValidationError, data: Mapping[str, Any], places: Mapping[Path, Place], default: Place
) -> list[Problem]:
    """Turn a validation error into problems, in the order of the file, one for each path."""
    found: dict[Path, Problem] = {}
    for item in error.errors(include_url=False):
        for path, problem in _problems(dict(item), data, places, default):
            found.setdefault(path, problem)
    return sorted(found.values(), key=lambda p: (p.place.line or 0, p.place.column or 0))


def _problems(
    item: dict[str, Any], data: Mapping[str, Any], places: Mapping[Path, Place], default: Place
) -> Iterator[tuple[Path, Problem]]:
    kind, context = item["type"], item.get("ctx", {})
    missing = kind == "missing"
    path = tuple(item["loc"]) if missing else _existing(item["loc"], data)
    if kind == "contradictions":
        for one in context["found"]:
            where = (*path, *one.path)
            place = _place(where, places, default)
            yield where, Problem(one.what, place, dotted(where), _value(where, data), one.expected, one.fix)
        return
    place = _place(path, places, default)
    if kind == "slurmkit":
        what, expected, fix = context["what"], context["expected"], context["fix"]
    elif kind == "extra_forbidden":
        what, expected, fix = "unknown field", None, _known_field(path)
    elif missing:
        what, expected, fix = "is missing", None, f"add `{path[-1]}:`{_below(path)}"
    else:
        expected = _EXPECTED.get(kind, item["msg"]).format(**context)
        what, fix = "wrong value", _type_fix(kind, item["input"], expected)
        if kind.endswith("_type"):
            what = "wrong type"
    yield path, Problem(what, place, dotted(path), None if missing else _value(path, data), expected, fix)


def _existing(loc: tuple[str | int, ...], data: Any) -> Path:
    """Cut what pydantic adds behind a path: the branch of a union, `[key]`."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            break
        path.append(part)
    return tuple(path)


def _place(path: Path, places: Mapping[Path, Place], default: Place) -> Place:
    for end in range(len(path), -1, -1):
        if (place := places.get(path[:end])) is not None:
            return place
    return default


def _value(path: Path, data: Any) -> str | None:
    if not path or path[:2] == ("environment", "variables"):  # may be a secret
        return None
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return None if isinstance(data, (dict, list)) and not data else shown(data)


def _known_field(path: Path) -> str:
    from slurmkit.spec.model import JobSpec

    shape, name = model_shape(JobSpec), str(path[-1])
    home = _home(shape, name)
    for part in path[:-1]:
        shape = shape.below(part)
    known = list(shape.fields or ())
    if home and home != dotted(path):
        return f"write it as {home}"
    if like := nearest(name, known):
        return f"did you mean {like}?"
    if len(path) == 1:
        return f"remove it; options of sbatch go under `sbatch:`; fields are {', '.join(known)}"
    return f"remove it; fields here are {', '.join(known)}"


def _home(shape: Shape, name: str, above: str = "") -> str | None:
    """Find a field of exactly this name anywhere in the job."""
    for key, inner in (shape.fields or {}).items():
        if key == name:
            return above + key
        if inner.fields and (found := _home(inner, name, f"{above}{key}.")):
            return found
    return None


def _below(path: Path) -> str:
    return f" under `{dotted(path[:-1])}:`" if len(path) > 1 else ""


def _type_fix(kind: str, value: object, expected: str) -> str:
    if kind in ("int_type", "bool_type", "float_type") and isinstance(value, str):
        from slurmkit.spec.document import Scalar
        from slurmkit.spec.shape import ANYTHING, to_data

        plain = to_data(Scalar(Place(""), value, "plain"), ANYTHING, (), {})
        if plain is not None and not isinstance(plain, str):
            return f"write {value} without quotes"
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if kind == "list_type" and isinstance(value, (str, int, float)):
        return f"write [{value}]"
    if kind == "literal_error" and isinstance(value, str):
        options = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
        if like := nearest(value, options):
            return f"did you mean {like}?"
    return f"write {expected}"
