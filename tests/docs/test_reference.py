"""The job-file reference is what the models say, and its examples are jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

import slurmkit
from tests.docs import finetune, reference

MINIMAL = "name: x\n"
PROGRAM = "entrypoint: {script: train.py}\n"


def test_the_page_is_up_to_date() -> None:
    written = reference.PAGE.read_text(encoding="utf-8")
    assert written == reference.page(), "run `make docs`, and read the change"


def test_the_page_of_the_fine_tuning_config_is_up_to_date() -> None:
    written = finetune.PAGE.read_text(encoding="utf-8")
    assert written == finetune.page(), "run `make docs`, and read the change"


def test_every_field_has_a_sentence() -> None:
    text = reference.page()
    for path in reference.paths():
        entry = text.split(f"# {path}\n", 1)[1].split("\n#", 1)[0]
        assert any(line.endswith(".") for line in entry.splitlines()), path


def test_every_note_and_example_is_of_a_field() -> None:
    known = set(reference.paths())
    assert set(reference.NOTES["fields"]) <= known
    assert set(reference.NOTES["examples"]) <= known


@pytest.mark.parametrize("part", reference.NOTES["examples"])
def test_every_example_is_a_job(part: str, tmp_path: Path) -> None:
    example = reference.NOTES["examples"][part]
    job = tmp_path / "job.yaml"
    job.write_text(MINIMAL + example + ("" if part == "entrypoint" else PROGRAM))
    spec = slurmkit.load(job, profile="none")
    assert part in spec.model_fields_set
