"""Run docs/notebook.ipynb on a real Slurm, and take out what differs from run to run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.testbed.cluster import SlurmCluster

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
_HOME = "/home/me/line"
_NOISE = (
    (re.compile(r"(\bjob |slurmkit\.Job |runs/line/|slurmkit-)\d+"), r"\g<1>1234"),
    (re.compile(r"(>elapsed</th><td[^>]*>)[\d:-]+"), r"\g<1>0:08"),
    (re.compile(r"(  COMPLETED  )[\d:-]+"), r"\g<1>0:08"),
    (re.compile(r"\bnode\d\b"), "node2"),
)
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(slurm: SlurmCluster, work: Path, source: Path = NOTEBOOK) -> dict[str, Any]:
    """Run a notebook on the login host, in a directory of its own; return it with its outputs."""
    path = work / source.name
    path.write_bytes(source.read_bytes())
    variables = {"PYTHONPATH": str(ROOT), "SLURMKIT_PROFILE": "none", "IPYTHONDIR": str(work)}
    command = [sys.executable, "-m", "tests.notebook.run", path.name]
    ran = slurm.run(command, cwd=work, env=variables, timeout=180)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return _read(path)


def committed() -> dict[str, Any]:
    """Return the notebook as it is in the repository."""
    return _read(NOTEBOOK)


def cleaned(notebook: dict[str, Any], work: Path) -> dict[str, Any]:
    """Return a notebook that was run in `work` without ids, times, paths and the like."""
    cells = [_cleaned_cell(cell, str(work)) for cell in notebook["cells"]]
    return {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}


def without_pictures(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook whose pictures, which change with matplotlib's version, are only named."""

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: "…" if k == "image/png" else named(v) for k, v in value.items()}
        return [named(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = named(notebook)
    return found


def write(notebook: dict[str, Any]) -> None:
    """Write the notebook into the repository."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    NOTEBOOK.write_text(text + "\n", encoding="utf-8")


def _cleaned_cell(cell: dict[str, Any], work: str) -> dict[str, Any]:
    kept = {**cell, "metadata": {}}
    if cell["cell_type"] == "code":
        outputs = [_cleaned_text(output, work) for output in cell["outputs"]]
        kept["outputs"] = [{**o, "metadata": {}} if "metadata" in o else o for o in outputs]
    return kept


def _cleaned_text(value: Any, work: str) -> Any:
    if isinstance(value, dict):
        return {
            key: text if key == "image/png" else _cleaned_text(text, work)
            for key, text in value.items()
        }
    if isinstance(value, list):
        return [_cleaned_text(item, work) for item in value]
    if isinstance(value, str):
        value = value.replace(work, _HOME)
        for pattern, clean in _NOISE:
            value = pattern.sub(clean, value)
    return value


def _read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook
