"""Short scripts from the YAML files beside this one: code, how often it is found, script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from slurmkit.check.lint.rule import Found
from slurmkit.check.lint.run import lint

Cases = dict[str, list[tuple[int, str]]]


def load(name: str) -> Cases:
    """Read the cases by code."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    cases: Cases = yaml.safe_load(text)
    return cases


def params(cases: Cases) -> list[Any]:
    """Return each case as a parameter of a test."""
    return [
        pytest.param(code, *case, id=f"{code}-{case[1]}") for code in cases for case in cases[code]
    ]


def whole(script: str) -> bytes:
    """Return a script with its first line."""
    head = "" if script.startswith("#!") else "#!/bin/bash\n"
    return f"{head}{script}\n".encode()


def found(code: str, script: str, version: tuple[int, int] | None = None) -> list[Found]:
    """Return what is found of one code."""
    return [f for f in lint(whole(script), "job", version) if f.code == code]
