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
    from collections.abc import Mapping
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
        known = [each.alias or name for name, each in model.model_fields.items()]
        near = difflib.get_close_matches(field, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(known)}"
        return f"`{field}` is no field of this config: {hint}"
    expected = detail["msg"].removeprefix("Value error, ")
    if not field:
        return expected
    return f"`{field}: {detail['input']!r}` is wrong: {expected}"
