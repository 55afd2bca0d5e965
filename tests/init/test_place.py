"""What init sees in a directory: the script, its framework, the Python environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from slurmkit.init.place import look_around


def test_an_empty_directory(tmp_path: Path) -> None:
    place = look_around(tmp_path, {})
    assert (place.script, place.framework, place.venv, place.conda) == (None, None, None, None)
    assert place.name == tmp_path.name
    assert place.has_torch  # the tests' own Python has it


def test_a_home_names_no_job(tmp_path: Path) -> None:
    assert look_around(tmp_path, {"HOME": str(tmp_path)}).name is None
    assert look_around(Path("/"), {}).name is None


@pytest.mark.parametrize(
    ("files", "script"),
    [
        (["train.py", "main.py"], "train.py"),
        (["main.py", "other.py"], "main.py"),
        (["finetune.py"], "finetune.py"),
        (["src/train.py", "setup.cfg"], "src/train.py"),
        (["a.py", "b.py"], None),
        (["a\n.py"], None),
        (["notes.txt"], None),
    ],
)
def test_the_script(files: list[str], script: str | None, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert look_around(tmp_path, {}).script == script


@pytest.mark.parametrize(
    ("text", "framework"),
    [
        ("import lightning as L\n", "lightning"),
        ("if True:\n    from pytorch_lightning import Trainer\n", "lightning"),
        ("from accelerate import Accelerator\n", "accelerate"),
        ("import torch  # not import lightning\n", None),
        ("import lightning_fork\n", None),
        ("\xff\xfe", None),
    ],
)
def test_the_framework(text: str, framework: str | None, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes(text.encode("latin-1"))
    assert look_around(tmp_path, {}).framework == framework


def test_a_virtual_environment_here(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch()
    place = look_around(tmp_path, {"CONDA_PREFIX": "/c", "CONDA_DEFAULT_ENV": "train"})
    assert (place.venv, place.conda, place.has_torch) == ("venv", None, False)
    (tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "torch").mkdir(parents=True)
    assert look_around(tmp_path, {}).has_torch


def test_an_active_environment_that_is_not_slurmkits_own(tmp_path: Path) -> None:
    assert look_around(tmp_path, {"VIRTUAL_ENV": "/opt/env"}).venv == "/opt/env"
    assert look_around(tmp_path, {"VIRTUAL_ENV": sys.prefix}).venv is None
    conda = {"CONDA_PREFIX": str(tmp_path), "CONDA_DEFAULT_ENV": "train"}
    assert look_around(tmp_path, conda).conda == "train"
    assert look_around(tmp_path, {**conda, "CONDA_DEFAULT_ENV": "base"}).conda is None
