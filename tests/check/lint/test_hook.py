"""The hooks that other repositories' pre-commit takes from here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILE = ROOT / ".pre-commit-hooks.yaml"
HOOKS = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_pre_commit_takes_them() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", str(FILE)]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_they_fail_on_a_bad_script(hook: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "a.sbatch"
    script.write_text("#!/bin/bash\n#SBATCH --time=2h\nsrun hostname\n")
    program = Path(sys.executable).parent / "slurmkit"
    command = [str(program), *shlex.split(hook["entry"])[1:], str(script)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a.sbatch", True), ("jobs/b.slurm", True), ("c.sh", False), ("d.sbatch.md", False)],
)
def test_which_files_they_look_at(name: str, is_one: bool) -> None:
    assert {bool(re.search(hook["files"], name)) for hook in HOOKS} == {is_one}
