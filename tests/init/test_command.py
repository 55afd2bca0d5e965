"""slurmkit init as it is typed: files written, never overwritten, and what is said next works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slurmkit.init.gallery import STARTS, profiles

SLURMKIT = Path(sys.executable).with_name("slurmkit")


def run(*arguments: str, path: str = str(SLURMKIT.parent)) -> subprocess.CompletedProcess[str]:
    """Run slurmkit where Slurm's commands are not on PATH."""
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        [SLURMKIT, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_the_first_minute(empty_place: Path) -> None:
    ran = run("init")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert sorted(path.name for path in empty_place.iterdir()) == ["job.schema.json", "job.yaml"]
    said = ran.stderr.splitlines()
    assert said[0] == (
        "job.yaml: written from the template torchrun (others: slurmkit init --list)"
    )
    steps = [line.split("  ")[1] for line in said if line.startswith("  slurmkit ")]
    assert [step.split()[1] for step in steps] == ["validate", "simulate", "submit"]
    checked = run(*steps[0].split()[1:])
    assert (checked.returncode, checked.stderr) == (0, "job.yaml: valid: 2 x 4 processes\n")
    assert steps[2] == "slurmkit submit job.yaml"
    assert run("render", "job.yaml").stdout.startswith("#!")


def test_the_rehearsal_that_it_names_works() -> None:
    said = run("init", "cpu").stderr
    (step,) = [line for line in said.splitlines() if "simulate" in line]
    ran = run(*step.split("  ")[1].split()[1:], path=os.environ["PATH"])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 rank(s) on 2 node(s): the sum is 10, as expected" in ran.stdout


def test_the_schema_beside_it_is_the_schema() -> None:
    run("init")
    assert Path("job.schema.json").read_text() == run("schema").stdout
    again = run("init", "cpu", "-o", "b.yaml")
    assert "job.schema.json: is there already" in again.stderr
    Path("job.schema.json").write_text("{}")
    left = run("init", "cpu", "-o", "c.yaml")
    assert "left as it is; this version's is `slurmkit schema > job.schema.json`" in left.stderr
    assert Path("job.schema.json").read_text() == "{}"


def test_nothing_is_overwritten() -> None:
    Path("job.yaml").write_text("mine")
    ran = run("init")
    assert ran.returncode == 2
    assert "job.yaml is there already: -o FILE writes another, --force writes over it" in ran.stderr
    assert Path("job.yaml").read_text() == "mine"
    assert not Path("job.schema.json").exists()
    assert run("init", "--force").returncode == 0
    assert Path("job.yaml").read_text().startswith("# yaml-language-server")


def test_not_even_through_a_link() -> None:
    Path("job.yaml").symlink_to("elsewhere.yaml")
    assert run("init").returncode == 2
    assert not Path("elsewhere.yaml").exists()


def test_another_file_and_standard_output() -> None:
    assert "a b.yaml: written" in run("init", "-o", "a b.yaml").stderr
    assert "slurmkit validate 'a b.yaml'" in run("init", "-o", "a b.yaml", "--force").stderr
    Path("job.schema.json").unlink()
    piped = run("init", "cpu", "-o", "-")
    assert (piped.stdout[:2], piped.stderr) == ("# ", "")
    assert not Path("job.schema.json").exists()
    nowhere = run("init", "-o", "no/such/job.yaml")
    assert nowhere.returncode == 2
    assert "no/such/job.yaml cannot be written: No such file or directory" in nowhere.stderr


def test_lists() -> None:
    listed = run("init", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(STARTS)
    listed = run("init", "--profile", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(profiles())


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["torchrn"], "no template 'torchrn' in the gallery: did you mean torchrun?"),
        (["zzz"], "see slurmkit init --list"),
        (["raven"], "it is a profile: slurmkit init --profile raven"),
        (["--profile", "ravn"], "no profile 'ravn' in the gallery: did you mean raven?"),
        (["--profile", "../init/torchrun"], "see slurmkit init --profile --list"),
        (["--profile"], "no Slurm answers here, so there is no cluster to draft a profile of"),
    ],
)
def test_what_cannot_be(arguments: list[str], fix: str, empty_place: Path) -> None:
    ran = run("init", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert fix in ran.stderr
    assert list(empty_place.iterdir()) == []


@pytest.mark.parametrize("name", profiles())
def test_a_profile_of_the_gallery(name: str) -> None:
    ran = run("init", "--profile", name)
    home = Path(os.environ["HOME"]) / ".config" / "slurmkit" / "profiles" / f"{name}.yaml"
    assert ran.returncode == 0
    assert str(home) in ran.stderr
    assert f"--profile {name}" in ran.stderr
    assert run("init", "--profile", name).returncode == 2
    assert run("init", "--profile", name, "-o", "profiles/own.yaml").returncode == 0
    assert Path("profiles/own.yaml").read_text() == home.read_text()


def test_an_unknown_profile_is_told_where_to_find_one() -> None:
    run("init", "cpu")
    ran = run("validate", "job.yaml", "--profile", "rvn")
    assert ran.returncode == 2
    assert "`slurmkit init --profile --list`" in ran.stderr


def test_the_script_decides_and_is_named() -> None:
    Path("train.py").write_text("import lightning as L\n")
    said = run("init").stderr
    assert "written from the template lightning, with train.py, which imports lightning" in said
    assert "\n  script: train.py\n" in Path("job.yaml").read_text()


def test_a_python_without_torch_is_named() -> None:
    Path(".venv/bin").mkdir(parents=True)
    Path(".venv/bin/python").touch()
    Path("train.py").touch()
    assert (
        "The job and simulate need torch, which .venv does not seem to have." in run("init").stderr
    )


def test_it_imports_no_torch() -> None:
    program = (
        "import sys; from slurmkit.cli import main\n"
        "try: main(['init'])\n"
        "except SystemExit as e: assert not e.code\n"
        "heavy = {'torch', 'submitit', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_the_schema_is_json() -> None:
    run("init")
    assert json.loads(Path("job.schema.json").read_text())["title"] == "slurmkit job file"
