"""The resolved job, with the place that each value came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from slurmkit.spec.dump import dump_yaml
from slurmkit.spec.errors import Path
from slurmkit.spec.load import Resolved

_ORIGIN_COLUMN = 48


def show_resolved(resolved: Resolved) -> str:
    """Return the job as YAML, with defaults; a comment on each value names its origin."""
    data = resolved.spec.model_dump(by_alias=True, warnings=False)
    resources = data["resources"]
    derived = resources["processes_per_node"] is None
    resources["processes_per_node"] = resolved.spec.processes_per_node
    lines = []
    for path, key, value in _leaves(data, ()):
        indent = "  " * (len(path) - 1)
        if value is _MAPPING:
            lines.append(f"{indent}{key}:")
            continue
        origin = str(resolved.places.get(path, "default"))
        if derived and path == ("resources", "processes_per_node"):
            origin = "one a GPU" if resources["gpus_per_node"] else "default"
        text = f"{indent}{key}: {_flow(value)}"
        lines.append(f"{text:<{_ORIGIN_COLUMN}}  # {origin}")
    return "\n".join(lines) + "\n"


_MAPPING = object()


def _leaves(data: dict[str, Any], above: Path) -> Iterator[tuple[Path, str, Any]]:
    for key, value in data.items():
        path = (*above, key)
        shown = key if dump_yaml(key) == f"{key}\n" and key.isascii() else _flow(key)
        if isinstance(value, dict) and value:
            yield path, shown, _MAPPING
            yield from _leaves(value, path)
        else:
            yield path, shown, value


def _flow(value: Any) -> str:
    """Write a value on one line, text always in quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return "".join(map(_character, json.dumps(value, ensure_ascii=False)))
    return dump_yaml(value).strip()


def _character(character: str) -> str:
    """Escape what does not print, as YAML does."""
    return character if character.isprintable() else f"\\U{ord(character):08x}"
