"""The project's own files agree with each other: make, README, changelog, version."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import slurmkit

CHECKOUT = Path(__file__).resolve().parents[2]
TARGETS = re.findall(
    r"^\.PHONY: (.*)$", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
)[0].split()
PLAN_ONLY = ("-n", "--no-print-directory")


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Make on its own, not as a part of the make that runs the tests."""
    inherited = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV", "PYTHON", "TORCH", "SLURM", "ARGS"}
    environment = {k: v for k, v in os.environ.items() if k not in inherited} | variables
    return subprocess.run(
        ["make", *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def project_files() -> list[Path]:
    """The files that belong to the project; there may be no git to ask."""
    folders = (".ci", "benchmarks", "docs", "jobs", "slurmkit", "templates", "tests")
    files = [path for folder in folders for path in (CHECKOUT / folder).rglob("*")]
    files += CHECKOUT.iterdir()
    return [path for path in files if path.is_file() and "__pycache__" not in path.parts]


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_planned(target: str) -> None:
    done = make(*PLAN_ONLY, target)
    assert done.returncode == 0, done.stderr


def test_a_new_environment_gets_torch_first(tmp_path: Path) -> None:
    plan = make(*PLAN_ONLY, "test", f"VENV={tmp_path / 'venv'}").stdout
    steps = [line.strip() for line in plan.splitlines()]
    assert steps == [".ci/install torch", ".ci/install dev", ".ci/pytest 'not proof'"]


def test_an_environment_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    for stamp in (".torch", ".core"):
        (tmp_path / stamp).write_text("cpu\n")
    for chosen in ("", "TORCH=cpu"):
        plan = make(*PLAN_ONLY, "demo", f"VENV={tmp_path}", *filter(None, [chosen])).stdout
        assert ".ci/install" not in plan


def test_another_torch_does_not_replace_the_one_installed(tmp_path: Path) -> None:
    for stamp in (".torch", ".core"):
        (tmp_path / stamp).write_text("cpu\n")
    done = make("demo", f"VENV={tmp_path}", "TORCH=2.9.1")
    assert done.returncode != 0
    assert f"rm -rf {tmp_path}" in done.stderr
    assert (tmp_path / ".torch").read_text() == "cpu\n"


def test_an_interpreter_that_is_too_old_or_missing_is_named(tmp_path: Path) -> None:
    old = tmp_path / "python3.8"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.8.10\nexit 1\n')
    old.chmod(0o755)
    for python, words in ((str(old), "Python 3.8.10"), ("no-such-python", "no-such-python")):
        done = make("demo", f"VENV={tmp_path / 'venv'}", f"PYTHON={python}")
        assert done.returncode != 0
        assert words in done.stderr
        assert "make PYTHON=" in done.stderr
        assert not (tmp_path / "venv").exists()


def test_readme_installs_our_distribution_and_not_somebody_elses() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert not re.search(
        r"(pip|uv|uvx|pipx)\b[^\n]*\binstall\b[^\n]*\bslurmkit(?!-torch)\b", readme
    )


def test_the_changelog_opens_with_this_version() -> None:
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)[0] == slurmkit.__version__


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    places = [f"{CHECKOUT}/", "../" + "shared/", "/root/" + "."]
    found = [
        f"{path.relative_to(CHECKOUT)}: {place}"
        for path in project_files()
        for place in places
        if place.encode() in path.read_bytes()
    ]
    assert not found
