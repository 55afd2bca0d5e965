"""YAML with holes, which bash fills in when the here-document is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slurmkit.render import quoting
from slurmkit.spec.dump import Quoted, dump_yaml
from slurmkit.spec.fields import references
from slurmkit.spec.sweep import put


class Holes:
    """The holes of one document: marks in the data, expansions of bash in its text."""

    def __init__(self, text: str) -> None:
        """Take the document without holes, in which no mark must stand."""
        self._mark = quoting.terminator("SLURMKIT_VALUE_", text)
        while self._mark in text:
            self._mark += "_"
        self.holes: list[str] = []

    def hole(self, expansion: str) -> str:
        """Return a value that stands for what bash expands, such as `$value`."""
        self.holes.append(expansion)
        return Quoted(self.mark(len(self.holes) - 1)[1:-1])

    def mark(self, index: int) -> str:
        """Return what stands in the text where a hole is."""
        return f'"{self._mark}{index}{self._mark}"'

    def at_paths(self, data: Any, expansions: Mapping[tuple[str, ...], str]) -> Any:
        """Return plain data with holes at these paths; what stands there is left out."""
        for path, expansion in expansions.items():
            hole = self.hole(expansion)
            if not path:
                return hole
            data = _copy_down(data, path)
            put(data, path, hole)
        return data

    def dump(self, data: Any) -> str:
        """Return the text of a here-document; without holes it is one that bash leaves alone."""
        text = dump_yaml(data)
        if not self.holes:
            return text
        text = quoting.heredoc_text(text)
        for index, expansion in enumerate(self.holes):
            text = text.replace(self.mark(index), expansion)
        return text


def literal_text(text: str) -> str | None:
    """Return what a text means, if it is the same everywhere; None if it holds `${env:NAME}`."""
    if "${" not in text:
        return text
    parts = references(text)
    return parts[0][0] if all(name is None for _, name, _ in parts) else None


def map_texts(value: Any, change: Callable[[str, str], str], field: str) -> Any:
    """Return plain data with its texts changed; `change` gets a text and the field it stands in."""
    if isinstance(value, dict):
        return {key: map_texts(item, change, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [map_texts(item, change, f"{field}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, str) and not isinstance(value, Quoted):
        return change(value, field)
    return value


def _copy_down(data: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Copy the mappings on the way to a path, so that a value can be put there."""
    copied = dict(data)
    if len(path) > 1 and isinstance(data.get(path[0]), dict):
        copied[path[0]] = _copy_down(data[path[0]], path[1:])
    return copied
