"""Writes the job file: the parts in their order, each setup line as it stands."""

from __future__ import annotations

from typing import Any

from slurmkit.check.importer.draft import Draft
from slurmkit.spec.dump import dump_yaml

_ORDER = (
    "resources", "sbatch", "site", "launcher", "environment", "container", "entrypoint", "requeue",
    "depends_on", "sweep", "sweep_limit",
)  # fmt: skip


def write(draft: Draft, name: str) -> str:
    """Return the job file's text."""
    data: dict[str, Any] = {"name": draft.name}
    if draft.setup:
        draft.put("environment", "setup", draft.setup)
    for part in _ORDER:
        if part in draft.fields:
            data[part] = draft.fields[part]
    return f"# Made by `slurmkit import {name}`; see what it said about it.\n{dump_yaml(data)}"
