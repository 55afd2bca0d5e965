"""Read an entrypoint's config file and check it against the entrypoint's model.

YAML's scalars are read by the 1.2 core schema: ``1e-4`` is a number, ``on`` and ``010`` are text.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)


class ConfigError(ValueError):
    """The config is wrong: every wrong field, and what it should be."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without YAML 1.1's ideas of what is a number or a boolean."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
        r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first
    )


def read_config(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: give an existing file to --config") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: this is no YAML: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: holds {value!r}: write `field: value` lines")
    return value


def check_config(model: type[Model], config: Mapping[str, Any]) -> Model:
    """Return the config as a model.

    Raises:
        ConfigError: names every wrong field, its value and what was expected.
    """
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        lines = [_line(model, detail) for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None


def _line(model: type[BaseModel], detail: ErrorDetails) -> str:
    field = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        return f"`{field}` is no field of this config: {_meant(model, field)}"
    if detail["type"] == "missing":
        return f"`{field}` is missing: write it"
    expected = detail["msg"].removeprefix("Value error, ")
    if not field:
        return expected
    return f"`{field}: {detail['input']!r}` is wrong: {expected}"


def _meant(model: type[BaseModel], field: str) -> str:
    """Say what to write for an unknown field: spelled nearly so, or the same in another part."""
    last = {each: each.rpartition(".")[2] for each in _fields(model, "")}
    part, _, name = field.rpartition(".")
    here = {each: word for each, word in last.items() if each.rpartition(".")[0] == part}
    for known, cutoff in ((here, 0.8), (last, 1.0), (here, 0.6), (last, 0.8)):
        if near := difflib.get_close_matches(name, known.values(), n=1, cutoff=cutoff):
            return f"did you mean `{next(k for k, word in known.items() if word == near[0])}`?"
    return f"use one of {', '.join(here)}"


def _fields(model: type[BaseModel], above: str) -> Iterator[str]:
    """Give every field, dotted."""
    for name, info in model.model_fields.items():
        field = above + (info.alias or name)
        yield field
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _fields(info.annotation, f"{field}.")
