"""Every command and every listing of README is run or compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import slurmkit
from tests.testbed.cluster import SlurmCluster
from tests.testbed.install import reason_missing

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)
COMMANDS = [
    line.removeprefix("$ ")
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
]
ON_SLURM = [line for line in COMMANDS if re.search(r"\b(sbatch|salloc)\b", line.split(" -o ")[0])]
MAKE = [line for line in COMMANDS if line.startswith("make ")]
INSTALL = [line for line in COMMANDS if "slurmkit-venv" in line]
PLAIN = [line for line in COMMANDS if line not in {*ON_SLURM, *MAKE, *INSTALL}]


def block(kind: str, first_line: str) -> str:
    (found,) = [text for k, text in BLOCKS if k == kind and text.startswith(first_line)]
    return found


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the files that README writes."""
    path = tmp_path_factory.mktemp("readme")
    (path / "job.yaml").write_text(block("yaml", "# job.yaml"))
    (path / "hello.py").write_text(block("python", "# hello.py"))
    return path


def environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOME": str(home), "SLURMKIT_PROFILE": "none"}


def shell(command: str, cwd: Path, home: Path) -> str:
    ran = subprocess.run(
        ["bash", "-c", command],
        check=False,
        cwd=cwd,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_the_kinds_of_command_are_all_there() -> None:
    assert MAKE == ["make demo", "make test"]
    assert ON_SLURM
    assert INSTALL
    assert PLAIN


@pytest.mark.parametrize("command", PLAIN)
def test_command(command: str, work: Path) -> None:
    out = shell(command, work, work)
    if command == "slurmkit simulate job.yaml":
        assert len(set(re.findall(r"rank \d of 4: it's \$HOME sweet /", out))) == 4, out
        assert (next(work.glob("runs/hello/*/logs")) / "node1.rank3.log").is_file()


@pytest.mark.slurm
@pytest.mark.parametrize("command", ON_SLURM)
def test_command_on_slurm(command: str, work: Path) -> None:
    if reason := reason_missing():
        if os.environ.get("SLURMKIT_REQUIRE_SLURM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with SlurmCluster() as slurm:
        waiting = command.replace("sbatch", "sbatch --wait")
        names = ("PATH", "SLURMKIT_PROFILE")
        given = {name: value for name, value in environment(work).items() if name in names}
        ran = slurm.run(["bash", "-c", waiting], cwd=work, env=given, timeout=120)
        logs = "".join(path.read_text() for path in work.glob("slurmkit-*.out"))
        ranks = set(re.findall(r"rank \d of 4: it's \$HOME sweet /", ran.stdout + logs))
    assert len(ranks) == 4, ran.stdout + ran.stderr + logs


def test_install(tmp_path: Path) -> None:
    # From a copy of what git has, with an empty home, as on a new login node.
    shell(
        f"git -C {ROOT} ls-files -z | (cd {ROOT} && xargs -0 cp --parents -t {tmp_path})",
        ROOT,
        tmp_path,
    )
    for command in INSTALL:
        out = shell(command, tmp_path, tmp_path)
    assert slurmkit.__version__ in out
    found = shell("~/slurmkit-venv/bin/python -c 'import torch' 2>&1 || true", tmp_path, tmp_path)
    assert "No module named 'torch'" in found


def test_make_demo_prints_what_is_shown(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / ".core").exists():
        pytest.fail("make demo and make test share .venv: run the tests by make test")
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs")
    shown = block("text", "simulate:").splitlines()
    out = shell(
        "slurmkit simulate jobs/all_reduce.yaml --nodes 2 --processes-per-node 2",
        tmp_path,
        tmp_path,
    )
    assert sorted(map(shape, out.splitlines())) == sorted(map(shape, shown))


def shape(line: str) -> str:
    """Replace what differs from run to run: figures and paths."""
    line = re.sub(r"files in \S+", "files in DIRECTORY", line)
    return re.sub(r"\s+", " ", re.sub(r"\d+\.\d+ (us|GB/s|s)\b|\b\d{5,}\b", "N", line))


def test_python_block(work: Path) -> None:
    program = block("python", "import slurmkit")
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=work, check=True, capture_output=True, text=True
    )
    assert "#SBATCH --nodes=4" in ran.stdout
    assert "for ((restart = 0; restart <= 1; restart++)); do" in ran.stdout


def test_the_script_shown_is_the_script() -> None:
    record = ROOT / "tests" / "render" / "golden" / "all_reduce.sbatch"
    assert record.read_text().endswith(block("bash", "# ---- rendezvous"))


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
    assert (ran.returncode, ran.stderr) == (2, block("text", "job.yaml:"))


def test_every_verb_is_named() -> None:
    from slurmkit.cli import VERBS

    assert all(f"slurmkit {verb}" in README for verb in VERBS)
