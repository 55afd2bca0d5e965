"""Job files for the tests: written, loaded, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slurmkit.spec.errors import Problem, SpecError
from slurmkit.spec.load import Resolved, resolve
from slurmkit.spec.model import JobSpec

BASE = "name: x\nentrypoint: {module: m}\n"


def resolved(text: str | bytes, **how: Any) -> Resolved:
    """Write job.yaml and resolve it."""
    Path("job.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return resolve("job.yaml", **how)


def job(text: str | bytes, **how: Any) -> JobSpec:
    """Write job.yaml and load it."""
    return resolved(text, **how).spec


def refused(text: str | bytes, **how: Any) -> list[Problem]:
    """Write a job.yaml that is wrong, and return the problems."""
    with pytest.raises(SpecError) as caught:
        resolved(text, **how)
    return list(caught.value.problems)


def the_problem(text: str | bytes, **how: Any) -> Problem:
    """Write a job.yaml with one mistake, and return the one problem."""
    problems = refused(text, **how)
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


def with_config(text: str) -> str:
    """Put lines under entrypoint.config."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return f"name: x\nentrypoint:\n  module: m\n  config:\n{lines}"


def config(text: str) -> Any:
    """Return what lines under entrypoint.config come to."""
    return job(with_config(text)).entrypoint.config
