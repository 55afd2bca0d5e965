"""A log of a few lines, and what the doctor says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurmkit.check.doctor.diagnose import diagnose
from slurmkit.check.doctor.event import Log
from slurmkit.check.doctor.verdict import Diagnosis
from tests.doctor.said import Told


@pytest.fixture
def told(tmp_path: Path) -> Told:
    def diagnosed(*lines: str, state: str | None = None) -> Diagnosis:
        path = tmp_path / "slurm-12.out"
        path.write_text("\n".join(lines) + "\n")
        return diagnose([Log(path)], state=state)

    return diagnosed
