"""Every listing of README is what it says it is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.output import differences
from tests.docs.pages import README, ROOT
from tests.docs.test_commands import environment, run_here


def test_make_demo_prints_what_is_shown(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / ".core").exists():
        pytest.fail("make demo and make test share .venv: run the tests by make test")
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs")
    shown = README.block("text", "simulate:").splitlines()
    printed = run_here(
        "slurmkit simulate jobs/all_reduce.yaml --nodes 2 --processes-per-node 2", tmp_path
    )
    told = differences(shown, printed.splitlines())
    assert not told, f"{told}\n\n{printed}"


def test_the_second_half_of_make_demo_is_what_is_shown(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs")
    printed = run_here("slurmkit simulate jobs/finetune_tiny.yaml", tmp_path)
    found = {_without_figures(line) for line in printed.splitlines()}
    for line in README.block("text", "node0 | [rank0] data:").splitlines():
        assert line == "..." or _without_figures(line) in found, f"{line}\n\n{printed}"


def _without_figures(line: str) -> str:
    return re.sub(r"[-+\d.,:e]+", "N", line)


def test_python_block(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(README.block("yaml", "# job.yaml"))
    program = README.block("python", "import slurmkit")
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "#SBATCH --nodes=4" in ran.stdout
    assert "for ((restart = 0; restart <= 1; restart++)); do" in ran.stdout


def test_the_error_shown_is_the_error(tmp_path: Path) -> None:
    job = "name: x\n\nresources:\n  nodes: 2\n  gpu_per_node: 8\nentrypoint: {module: m}\n"
    (tmp_path / "job.yaml").write_text(job)
    ran = subprocess.run(
        ["slurmkit", "validate", "job.yaml"],
        check=False,
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (2, README.block("text", "job.yaml:"))
