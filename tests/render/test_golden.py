"""Rendered scripts, byte for byte as they were read and approved."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import slurmkit

GOLDEN = Path(__file__).parent / "golden"
JOBS = sorted(GOLDEN.glob("*.yaml"))


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.stem)
def test_script_is_the_recorded_one(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slurmkit.render.script.__version__", "VERSION")
    monkeypatch.setattr("slurmkit.render.preflight.packed", lambda: "PACKED==\n")
    monkeypatch.setenv("SLURMKIT_PROFILE", "none")
    script = slurmkit.render(slurmkit.load(job))
    record = job.with_suffix(".sbatch")
    if os.environ.get("UPDATE_GOLDEN"):
        record.write_text(script, encoding="utf-8")
    hint = f"read the difference; if it is meant: UPDATE_GOLDEN=1 pytest {Path(__file__).name}"
    assert script == record.read_text(encoding="utf-8"), hint


@pytest.mark.parametrize("script", sorted(GOLDEN.glob("*.sbatch")), ids=lambda path: path.stem)
def test_script_is_clean(script: Path, shellcheck: str) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    found = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_every_record_has_its_job() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sbatch")} == {path.stem for path in JOBS}
