"""Where the output of a job lies that slurmkit did not submit."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurmkit.check.doctor import foreign
from slurmkit.launch.registry import UnknownJobError
from slurmkit.slurm.places import Places


@pytest.mark.parametrize(
    ("told", "files"),
    [
        ("logs/%x-%j.out", ["logs/my [job]-12.out"]),
        ("%A_%a.out", ["12_4.out"]),
        ("%u/100%%-%6j.out", ["ann/100%-000012.out"]),
        ("out.%j.%N", ["out.12.n1", "out.12.n2"]),
        ("slurm-%j.out", ["slurm-12.out"]),
    ],
)
def test_what_slurm_fills_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, files: list[str]
) -> None:
    for file in [*files, "logs/other-13.out", "out.13.n1"]:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    job = Places(tmp_path, (told,), "my [job]", "ann")
    monkeypatch.setattr(foreign, "places", lambda _: job)
    found = foreign.logs_of_job("12", "12_4" if "%a" in told else "12")
    assert [str(log.path.relative_to(tmp_path)) for log in found] == files


def test_where_was_looked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "places", lambda _: Places(tmp_path, ("%x-%j.out",), "mine", "a"))
    with pytest.raises(UnknownJobError, match=f"{tmp_path}/mine-12.out, {tmp_path}/slurm-12.out"):
        foreign.logs_of_job("12", "12")
