"""Writes the job file: the parts in their order, each setup line as it stands."""

from __future__ import annotations

import json
from typing import Any

import yaml

from slurmkit.check.importer.draft import Draft, Kept
from slurmkit.spec.dump import dump_yaml

_ORDER = (
    "resources", "sbatch", "site", "launcher", "environment", "container", "entrypoint", "requeue",
    "depends_on", "sweep", "sweep_limit",
)  # fmt: skip
_FIELDS = {
    "resources": ("nodes", "gpus_per_node", "gpu_type", "processes_per_node", "cpus_per_node"),
    "environment": ("modules", "venv", "conda", "python", "variables", "pass"),
    "container": ("runtime", "image", "mounts", "options"),
}
"""What comes first in a part; the rest follows as the script has it."""


def printable(name: str) -> str:
    """Return a file's name for a line of text: it may hold any bytes, and line breaks."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)


def write(draft: Draft, name: str) -> str:
    """Return the job file's text."""
    said = [f"# Made by `slurmkit import {name}`; see what it said about it.\n"]
    said.append(dump_yaml({"name": draft.name}))
    for part in _ORDER:
        if part in draft.fields:
            said.append(_part(part, draft.fields[part]))
        if part == "environment" and draft.setup:
            said.append("" if part in draft.fields else "environment:\n")
            said.append("  setup:\n" + "".join(_kept(line) for line in draft.setup))
    return "".join(said)


def _part(part: str, value: Any) -> str:
    if part == "sweep":  # values side by side: an array may have hundreds
        lists = {key: json.dumps(values, ensure_ascii=False) for key, values in value.items()}
        return "sweep:\n" + "".join(f"  {key}: {text}\n" for key, text in lists.items())
    if part == "entrypoint" and any("\n" in word for word in value.get("command", ())):
        text = "entrypoint:\n  command:\n" + "".join(_word(word) for word in value["command"])
        if _reads_as(text, {part: value}):
            return text
    if isinstance(value, dict):
        names = [name for name in _FIELDS.get(part, ()) if name in value]
        value = {name: value[name] for name in (*names, *value)}
    return dump_yaml({part: value})


def _word(text: str) -> str:
    """A word of a command; a shell's text of several lines as it stands."""
    if "\n" not in text:
        return f"  {dump_yaml([text])}"
    mark = "|2" if text.endswith("\n") else "|2-"
    return f"  - {mark}\n" + "".join(
        f"    {row}\n" if row else "\n" for row in text.removesuffix("\n").split("\n")
    )


def _kept(line: Kept) -> str:
    comment = f"  # {line.comment}\n" if line.comment else ""
    block = "- |-\n" + "".join(f"  {row}".rstrip(" ") + "\n" for row in line.text.split("\n"))
    item = dump_yaml([line.text])
    if "\n" in line.text and _reads_as(block, [line.text]):
        item = block
    return comment + "".join(f"  {row}".rstrip(" ") + "\n" for row in item.splitlines())


def _reads_as(block: str, value: Any) -> bool:
    try:
        return bool(yaml.safe_load(block) == value)
    except yaml.YAMLError:
        return False
