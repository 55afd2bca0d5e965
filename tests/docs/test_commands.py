"""Every command of README and docs runs, and prints what the page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import slurmkit
from slurmkit.cli import VERBS
from tests.docs.output import differences
from tests.docs.pages import PAGES, README, ROOT, Command, Page, all_commands, commands
from tests.testbed.cluster import SlurmCluster

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

LONG = {"docs/finetune.md", "docs/simulate.md", "docs/staying-alive.md"}
"""Pages that take a minute; what they show is tested in parts elsewhere as well."""
ON_HOSTS = {"docs/hosts.md"}
"""Pages whose commands go to hosts by ssh: test_hosts_page.py runs them."""
RANKS = r"rank \d of 4: it's \$HOME sweet /"


def steps(page: Page, on_slurm: bool) -> list[tuple[str, str] | Command]:
    """Give the page's files and its commands of one sort, in the order of the page."""
    found: list[tuple[str, str] | Command] = []
    for block in page.blocks:
        if block.file is not None:
            found.append((block.file, block.text))
        elif block.kind == "console":
            found += [
                command
                for command in commands(block)
                if command.on_slurm == on_slurm and not command.elsewhere
            ]
    return found


def pages_with(on_slurm: bool) -> list[ParameterSet]:
    return [
        pytest.param(page.name, marks=[pytest.mark.proof] if page.name in LONG else [])
        for page in map(Page, PAGES)
        if page.name not in ON_HOSTS
        and any(isinstance(step, Command) for step in steps(page, on_slurm))
    ]


def environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "XDG_"))}
    return {**kept, "PATH": path, "HOME": str(home), "SLURMKIT_PROFILE": "none"}


def run_here(command: str, cwd: Path, home: Path | None = None) -> str:
    ran = subprocess.run(
        ["bash", "-c", command],
        check=False,
        cwd=cwd,
        env=environment(home or cwd),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}"
    return ran.stdout


def run_on(slurm: SlurmCluster, command: str, cwd: Path) -> str:
    given = {name: environment(cwd)[name] for name in ("PATH", "SLURMKIT_PROFILE")}
    ran = slurm.run(["bash", "-c", f"{{ {command}\n}} 2>&1"], cwd=cwd, env=given, timeout=180)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}"
    for job in re.findall(r"Submitted batch job (\d+)", ran.stdout):
        slurm.wait(job, "COMPLETED", timeout=120)
        slurm.sacct(job)  # waits until the accounting knows it all
    return ran.stdout


def follow(page: Page, work: Path, on_slurm: bool, run: Callable[[str], str]) -> None:
    """Do what a reader does who goes through a page from the top."""
    for step in steps(page, on_slurm):
        if isinstance(step, Command):
            printed = run(step.line)
            if step.output:
                told = differences(list(step.output), printed.splitlines())
                assert not told, f"{page.name}: {step.line}\n{told}\n\n{printed}"
        else:
            path = work / step[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step[1], encoding="utf-8")


def begin(page: Page, work: Path) -> None:
    """Put the jobs of the checkout there, and README's job where there is no other."""
    shutil.copytree(ROOT / "jobs", work / "jobs", dirs_exist_ok=True)
    makes_its_own = "# job.yaml\n" in page.text or "slurmkit init" in page.text
    if not makes_its_own:
        (work / "job.yaml").write_text(README.block("yaml", "# job.yaml"))
        (work / "hello.py").write_text(README.block("python", "# hello.py"))


@pytest.mark.parametrize("name", pages_with(on_slurm=False))
def test_page(name: str, directory: Callable[[str], Path]) -> None:
    work, page = directory(name), Page(ROOT / name)
    begin(page, work)
    follow(page, work, False, lambda command: run_here(command, work))
    if name == README.name:
        logs = sorted(work.glob("runs/hello/*/logs/node1.rank3.log"))
        assert any(re.search(RANKS, log.read_text()) for log in logs)


@pytest.mark.slurm
@pytest.mark.parametrize("name", pages_with(on_slurm=True))
def test_page_on_slurm(name: str, directory: Callable[[str], Path], slurm: SlurmCluster) -> None:
    work, page = directory(name), Page(ROOT / name)
    begin(page, work)
    printed: list[str] = []

    def run(command: str) -> str:
        printed.append(run_on(slurm, command, work))
        return printed[-1]

    follow(page, work, True, run)
    slurm.reset()
    if name == README.name:
        logs = [path.read_text() for path in work.glob("slurmkit-*.out")]
        worlds = [len(set(re.findall(RANKS, text))) for text in (*printed, *logs)]
        assert worlds.count(4) == 3, "by submit, by sbatch, and inside salloc"


def test_install(tmp_path: Path) -> None:
    # From a copy of what git has, with an empty home, as on a new login node.
    run_here(
        f"git -C {ROOT} ls-files -z | (cd {ROOT} && xargs -0 cp --parents -t {tmp_path})",
        ROOT,
        tmp_path,
    )
    lines = [line for line, command in all_commands().items() if "slurmkit-venv" in line]
    assert lines
    for line in lines:
        out = run_here(line, tmp_path)
    assert slurmkit.__version__ in out
    found = run_here("~/slurmkit-venv/bin/python -c 'import torch' 2>&1 || true", tmp_path)
    assert "No module named 'torch'" in found


def test_what_make_is_told_to_make_is_there() -> None:
    targets = {line.split()[1] for line in all_commands() if line.startswith("make ")}
    assert {"demo", "test"} <= targets
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_every_verb_is_shown_in_use() -> None:
    lines = "\n".join(all_commands())
    assert not [verb for verb in VERBS if f"slurmkit {verb}" not in lines]
