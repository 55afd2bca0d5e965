"""What the checks of a launch see on a host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slurmkit.check.preflight.on_host import LARGE, files, interfaces


@pytest.mark.parametrize("wanted", [None, "lo", "l", "=lo", "^nothing0", "nothing0,lo"])
def test_interfaces_that_are_there(wanted: str | None) -> None:
    assert interfaces(wanted) is None


@pytest.mark.parametrize("wanted", ["nothing0", "=l", "=nothing0"])
def test_interfaces_that_are_not(wanted: str) -> None:
    assert "lo" in (interfaces(wanted) or [])


def test_the_files_of_a_command(tmp_path: Path) -> None:
    for name in ("train", "data.bin", "run.sh"):
        (tmp_path / name).write_text(name)
    words = [str(tmp_path / name) for name in ("train", "data.bin", "run.sh")]
    assert set(files({"command": words})) == {"train", "run.sh"}
    assert set(files({"command": ["bash", *words[1:]]})) == {"run.sh"}


def test_what_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("x")
    os.mkfifo(tmp_path / "pipe.py")
    with (tmp_path / "large.py").open("wb") as file:
        file.truncate(LARGE + 1)
    found = files({"script": str(tmp_path / "train.py")})
    assert found.pop("train.py")
    assert found == {"pipe.py": "no file", "large.py": f"{LARGE + 1} bytes"}
