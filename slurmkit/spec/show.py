"""The resolved job, with the place that each value came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from slurmkit.spec.errors import Path
from slurmkit.spec.load import Resolved

_ORIGIN_COLUMN = 48


def show_resolved(resolved: Resolved) -> str:
    """Return the job as YAML, defaults included, each value with a comment that names its origin."""
    data = resolved.spec.model_dump(by_alias=True, mode="json", warnings=False)
    resources = data["resources"]
    derived = resources["processes_per_node"] is None
    resources["processes_per_node"] = resolved.spec.processes_per_node
    lines = []
    for path, key, value in _leaves(data, ()):
        indent = "  " * (len(path) - 1)
        if value is _MAPPING:
            lines.append(f"{indent}{key}:")
            continue
        origin = _origin(path, resolved)
        if derived and path == ("resources", "processes_per_node"):
            origin = "one a GPU" if resources["gpus_per_node"] else "default"
        text = f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"
        lines.append(f"{text:<{_ORIGIN_COLUMN}}  # {origin}")
    return "\n".join(lines) + "\n"


_MAPPING = object()


def _leaves(data: dict[str, Any], above: Path) -> Iterator[tuple[Path, str, Any]]:
    for key, value in data.items():
        path = (*above, key)
        shown = key if key.isidentifier() else json.dumps(key, ensure_ascii=False)
        if isinstance(value, dict) and value:
            yield path, shown, _MAPPING
            yield from _leaves(value, path)
        else:
            yield path, shown, value


def _origin(path: Path, resolved: Resolved) -> str:
    place = resolved.places.get(path)
    return str(place) if place else "default"
