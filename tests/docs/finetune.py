"""The reference of the fine-tuning config, docs/finetune-config.md, written from its models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from slurmkit.train.finetune.config import FinetuneConfig
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "finetune-config.md"
HEAD = """\
# The fine-tuning config

<!-- Written by `make docs` from slurmkit/train/finetune/config.py: change the texts there. -->

What may stand under `entrypoint.config` of a job whose `entrypoint.module` is
`slurmkit.train.finetune`. [Fine-tuning a large model](finetune.md) tells how it goes together.
Texts may hold `${env:NAME}`, which is read on the node; numbers, and `true` or `false`, may not.
"""
_TYPES = {"integer": "whole number", "number": "number", "boolean": "true or false"}


def page() -> str:
    """Write the whole page."""
    return "\n\n".join([HEAD.strip(), *_sections()]) + "\n"


def _sections() -> Iterator[str]:
    own = {name: info for name, info in FinetuneConfig.model_fields.items() if not _part(info)}
    for name, info in FinetuneConfig.model_fields.items():
        if part := _part(info):
            yield f"## {name}"
            yield str(part.__doc__).split("\n", maxsplit=1)[0]
            yield _table(part, part.model_fields)
    yield "## Beside them"
    yield _table(FinetuneConfig, own)


def _table(model: type[BaseModel], fields: dict[str, FieldInfo]) -> str:
    shapes = model.model_json_schema()["properties"]
    rows = [
        f"| `{name}` | {_kind(shapes[name])} | {_default(info)} | {info.description} |"
        for name, info in fields.items()
    ]
    return "\n".join(["| field | takes | default | |", "|---|---|---|---|", *rows])


def _kind(shape: dict[str, Any]) -> str:
    """Say in words what a field takes."""
    shape = {**shape, **next((s for s in shape.get("anyOf", []) if s["type"] != "null"), {})}
    if "enum" in shape:
        *words, last = (f"`{word}`" for word in shape["enum"])
        return f"{', '.join(words)} or {last}"
    if shape["type"] == "array":
        return "list of texts"
    kind = _TYPES.get(shape["type"], "text")
    return ", ".join([kind, *_bounds(shape)])


def _bounds(shape: dict[str, Any]) -> Iterator[str]:
    words = {
        "exclusiveMinimum": "more than {:g}",
        "minimum": "{:g} or more",
        "exclusiveMaximum": "less than {:g}",
        "maximum": "{:g} or less",
    }
    for key, text in words.items():
        if key in shape:
            yield text.format(shape[key])


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default is None:
        return ""
    value = list(info.default) if isinstance(info.default, tuple) else info.default
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")
    return f"`{text}`"


def _part(info: FieldInfo) -> type[BaseModel] | None:
    hint = info.annotation
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None
