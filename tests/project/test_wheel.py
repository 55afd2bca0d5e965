"""The wheel works in a new virtual environment away from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks._installed import CHECKOUT, build_wheel, install_wheel, plain_environment

DATA_SUFFIXES = {".j2", ".json", ".tsv", ".yaml", ".sh", ".typed"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_wheel(wheel, tmp_path_factory.mktemp("new") / "venv")


def run(directory: Path, *arguments: str | Path) -> str:
    done = subprocess.run(
        arguments,
        cwd=directory,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_templates_and_data_files_are_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = [p for p in (CHECKOUT / "templates").rglob("*") if p.is_file()]
    assert templates
    for path in templates:
        assert f"slurmkit/templates/{path.relative_to(CHECKOUT / 'templates')}" in names
    for path in (CHECKOUT / "slurmkit").rglob("*"):
        if path.suffix in DATA_SUFFIXES | {".py"}:
            assert str(path.relative_to(CHECKOUT)) in names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"slurmkit"}


def test_the_core_asks_for_no_torch(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    needed = [line for line in lines if line.startswith("Requires-Dist:")]
    core = [line.split()[1] for line in needed if "extra ==" not in line]
    assert any(requirement.startswith("pydantic") for requirement in core)
    assert not any(requirement.startswith("torch") for requirement in core)


def test_the_new_environment_uses_its_own_slurmkit(programs: Path, tmp_path: Path) -> None:
    where = run(tmp_path, programs / "python", "-c", "import slurmkit; print(slurmkit.__file__)")
    assert Path(where).is_relative_to(programs.parent)


def test_help_and_schema(programs: Path, tmp_path: Path) -> None:
    assert "render" in run(tmp_path, programs / "slurmkit", "--help")
    schema = json.loads(run(tmp_path, programs / "slurmkit", "schema"))
    assert {"name", "resources", "entrypoint"} <= schema["properties"].keys()


def test_it_renders_what_the_checkout_renders(programs: Path, tmp_path: Path) -> None:
    job = CHECKOUT / "jobs" / "all_reduce.yaml"
    (tmp_path / "job.yaml").write_bytes(job.read_bytes())
    here = Path(sys.executable)
    there = programs / here.name
    verb = ["-c", "from slurmkit.cli import main; main()", "render", "job.yaml"]
    expected = run(tmp_path, here, *verb)
    assert str(here) in expected or str(here.parent) in expected
    assert run(tmp_path, there, *verb) == expected.replace(str(here.parent), str(programs))
    assert run(tmp_path, programs / "slurmkit", "render", "job.yaml").startswith("#!")
