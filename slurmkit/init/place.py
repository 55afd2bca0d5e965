"""What the current directory tells: the program to run, its framework, its Python."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_NAMES = ("train.py", "main.py", "src/train.py", "scripts/train.py")
_VENVS = (".venv", "venv", "env")
_FRAMEWORKS = {"lightning": r"(pytorch_)?lightning", "accelerate": "accelerate"}
_READ = 100_000


@dataclass(frozen=True, slots=True)
class Place:
    """A directory from which a job is going to be called."""

    name: str | None
    """The directory's name, where it can name a job."""
    script: str | None = None
    framework: str | None = None
    """The framework that the script imports, and that has a template of its own."""
    venv: str | None = None
    conda: str | None = None
    has_torch: bool = False
    """Whether the Python of the job has torch, as far as one can see without starting it."""


def look_around(directory: Path, environment: Mapping[str, str]) -> Place:
    """Look for a training script and a Python environment; nothing is run."""
    script = _script(directory)
    venv = _venv(directory, environment)
    conda = None if venv else _conda(environment)
    home = environment.get("HOME")
    named = directory.name.isprintable() and directory.name and str(directory) != home
    return Place(
        name=directory.name if named else None,
        script=script,
        framework=_framework(directory / script) if script else None,
        venv=venv,
        conda=conda,
        has_torch=_has_torch(directory, venv, environment if conda else None),
    )


def _script(directory: Path) -> str | None:
    for name in _NAMES:
        if (directory / name).is_file():
            return name
    found = [path.name for path in directory.glob("*.py") if path.is_file()]
    only = found[0] if len(found) == 1 else None
    return only if only and only.isprintable() else None


def _framework(script: Path) -> str | None:
    try:
        with script.open("rb") as file:
            text = file.read(_READ).decode(errors="replace")
    except OSError:
        return None
    for name, module in _FRAMEWORKS.items():
        if re.search(rf"^\s*(import|from)\s+{module}\b", text, re.M):
            return name
    return None


def _venv(directory: Path, environment: Mapping[str, str]) -> str | None:
    for name in _VENVS:
        if (directory / name / "bin" / "python").exists():
            return name
    active = environment.get("VIRTUAL_ENV")
    return active if active and active.isprintable() and Path(active) != Path(sys.prefix) else None


def _conda(environment: Mapping[str, str]) -> str | None:
    prefix, name = environment.get("CONDA_PREFIX"), environment.get("CONDA_DEFAULT_ENV")
    return name if prefix and name != "base" and Path(prefix) != Path(sys.prefix) else None


def _has_torch(directory: Path, venv: str | None, conda: Mapping[str, str] | None) -> bool:
    if venv is None and conda is None:
        return find_spec("torch") is not None
    root = directory / venv if venv else Path((conda or {})["CONDA_PREFIX"])
    return any(root.glob("lib/python3*/site-packages/torch"))
