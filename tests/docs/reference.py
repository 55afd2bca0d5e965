"""The references, docs/job-file.md and finetune-config.md, written from the models: `make docs`.

What a field is, its type and its default come from `slurmkit/spec/model.py`; longer words and
examples come from `reference.yaml` beside this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from slurmkit.spec import fields
from slurmkit.spec.model import JobSpec
from slurmkit.spec.part import Part
from slurmkit.spec.plain import Config, Plain
from tests.docs import finetune
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "job-file.md"
NOTES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("reference.yaml").read_text())

KINDS = (
    (fields.Line, "text"),
    (fields.Word, "text"),
    (fields.Names, "text"),
    (fields.Host, "host"),
    (fields.NodeText, "[text for the node](#values)"),
    (fields.PathText, "[path](#values)"),
    (fields.Time, "time"),
    (fields.Memory, "memory"),
    (fields.NodeList, "node list"),
    (fields.Constraint, "text"),
    (fields.VariableName, "variable name"),
    (fields.Code, "line of bash"),
    (Plain, "value"),
    (Config, "mapping"),
    (bool, "true or false"),
    (float, "number"),
    (int, "whole number"),
)
_MOST = 65535


def page() -> str:
    """Write the whole page."""
    parts = [NOTES["head"].strip(), *(text for name in JobSpec.model_fields for text in _top(name))]
    return "\n\n".join(parts) + "\n"


def paths() -> Iterator[str]:
    """Give the dotted path of every field."""
    for name, field in JobSpec.model_fields.items():
        yield name
        if part := _part(field.annotation):
            yield from (f"{name}.{f.alias or n}" for n, f in part.model_fields.items())


def _top(name: str) -> Iterator[str]:
    field = JobSpec.model_fields[name]
    yield f"## {name}"
    part = _part(field.annotation)
    yield from _entry(JobSpec, name, name, with_type=part is None)
    if example := NOTES["examples"].get(name):
        yield f"```yaml\n{example.rstrip()}\n```"
    if part:
        for below, inner in part.model_fields.items():
            path = f"{name}.{inner.alias or below}"
            yield f"### {path}"
            yield from _entry(part, below, path, with_type=True)


def _entry(model: type[Part], name: str, path: str, with_type: bool) -> Iterator[str]:
    field = model.model_fields[name]
    if with_type:
        hint = get_type_hints(model, include_extras=True)[name]
        yield f"*{_kind(hint, field)}* · {_default(field)}"
    yield str(field.description)
    if note := NOTES["fields"].get(path):
        yield note.strip()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, [], {}, ""):
        return "optional"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")
    return f"default `{text}`"


def _part(hint: Any) -> type[Part] | None:
    for each in (hint, *get_args(hint)):
        if isinstance(each, type) and issubclass(each, Part):
            return each
    return None


def _kind(hint: Any, field: FieldInfo | None = None) -> str:
    """Say in words what a type takes."""
    for known, words in KINDS:
        if hint == known:
            return words + _range(field.metadata if field and known is int else [])
    arguments = get_args(hint)
    match get_origin(hint):
        case origin if origin is Literal:
            return _either([f"`{value}`" for value in arguments])
        case origin if origin is list:
            return f"list of {_plural(_kind(arguments[0]))}"
        case origin if origin is tuple:
            return f"list of {len(arguments)} {_plural(_kind(arguments[0]))}"
        case origin if origin is dict:
            return f"mapping of {_kind(arguments[0])} to {_kind(arguments[1])}"
        case origin if origin is Union or arguments[-1:] == (NoneType,) or "|" in str(hint):
            return _either([_kind(each) for each in arguments if each is not NoneType])
    base, *extra = arguments  # Annotated
    limits = [limit for info in extra if isinstance(info, FieldInfo) for limit in info.metadata]
    return _kind(base) + _range(limits)


def _range(limits: list[Any]) -> str:
    low = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    high = next((limit.le for limit in limits if isinstance(limit, Le)), _MOST)
    if low is None:
        return ""
    return f", {low} or more" if high == _MOST else f", {low} to {high}"


def _plural(kind: str) -> str:
    if kind.startswith("`"):
        return kind
    first, comma, rest = kind.partition(",")
    if first.startswith("line "):
        return "lines of bash"
    return kind if first.endswith(("text", ")")) else f"{first}s{comma}{rest}"


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    finetune.PAGE.write_text(finetune.page(), encoding="utf-8")
