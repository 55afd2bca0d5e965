"""The JSON schema: valid, described, and of one mind with the loader about jobs/."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from slurmkit.spec.document import parse
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import load
from slurmkit.spec.schema import json_schema
from slurmkit.spec.shape import ANYTHING, to_data

JOBS = sorted((Path(__file__).parents[2] / "jobs").glob("**/*.yaml"))
SCHEMA = json_schema()


def valid(data: Any) -> bool:
    return bool(Draft202012Validator(SCHEMA).is_valid(data))


def read(path: Path) -> Any:
    """Read a file as any reader of YAML 1.2 would, knowing nothing of the models."""
    root = parse(path.read_bytes(), path.name)
    assert root is not None
    return to_data(root, ANYTHING, (), {})


def test_it_is_a_schema() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)


def _fields(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        properties = part.get("properties")
        if isinstance(properties, dict):
            yield from properties.items()
        for value in part.values():
            yield from _fields(value)


def test_every_field_is_described() -> None:
    fields = list(_fields(SCHEMA))
    assert len(fields) > 100

    def described(field: dict[str, Any]) -> Any:
        part = SCHEMA["$defs"].get(field.get("$ref", "").removeprefix("#/$defs/"), {})
        return field.get("description") or part.get("description")

    assert [name for name, field in fields if not described(field)] == []


def test_there_are_jobs() -> None:
    assert JOBS


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_every_job_keeps_to_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parents[1])
    errors = Draft202012Validator(SCHEMA).iter_errors(read(path))
    assert [error.message for error in errors] == []
    load(path, profile="none")
    assert path.read_text().startswith("# "), "a job opens with a comment that says what it shows"


@pytest.mark.parametrize(
    "change",
    [
        {"gpus": 1}, {"resources": {"gpu_per_node": 1}}, {"launcher": {"x": 1}},
        {"environment": {"pass_": []}}, {"container": {"runtime": "pyxis", "image": "a", "x": 1}},
        {"resources": {"nodes": 0}}, {"resources": {"nodes": "2"}}, {"launcher": {"kind": "mpi"}},
        {"preflight": ["x"]}, {"site": {"port_range": [1]}}, {"requeue": {"lead_time": 1}},
        {"depends_on": {"x": ["1"]}}, {"entrypoint": None}, {"name": None},
    ],
)  # fmt: skip
def test_it_rejects(change: dict[str, Any]) -> None:
    base: dict[str, Any] = {"name": "x", "entrypoint": {"module": "m"}}
    assert valid(base)
    assert not valid({**base, **change})
    assert not valid({"name": "x"})


TINY = {"model": {"name_or_path": "tiny:llama"}, "data": {"dataset_path": "tiny:9"}}


def program(name: str, **entrypoint: Any) -> dict[str, Any]:
    return {"name": "x", "entrypoint": {"module": f"slurmkit.train.{name}", **entrypoint}}


@pytest.mark.parametrize(
    "job",
    [
        program("all_reduce", config={"dtyp": 1}), program("all_reduce", config={"factor": 1}),
        program("finetune"), program("finetune", config={}), program("finetune", config=None),
        program("finetune", config={**TINY, "training": {"learning_rat": 1}}),
        program("finetune", config={**TINY, "training": {"checkpoint_mode": "ful"}}),
        program("finetune", config={**TINY, "lora": {"r": "${env:R}"}}),
    ],
)  # fmt: skip
def test_the_config_of_our_own_programs_is_checked(job: dict[str, Any], tmp_path: Path) -> None:
    assert not valid(job)
    assert not loads(job, tmp_path)


@pytest.mark.parametrize(
    "job",
    [
        program("all_reduce"), program("all_reduce", config=None), program("finetune", config=TINY),
        program("all_reduce", config={"dtype": "${env:DTYPE}", "sizes": [4], "json": "a"}),
        program("finetune", args=["--config", "a.yaml"]),
        {"name": "x", "entrypoint": {"module": "my.train", "config": {"dtyp": 1}}},
    ],
)  # fmt: skip
def test_configs_that_are_right(job: dict[str, Any], tmp_path: Path) -> None:
    assert valid(job)
    assert loads(job, tmp_path)


def loads(job: dict[str, Any], folder: Path) -> bool:
    """Say whether the loader takes what the schema was asked about."""
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))
    try:
        load(path, profile="none")
    except SpecError:
        return False
    return True


@pytest.mark.parametrize(
    "change",
    [
        {"name": 10}, {"environment": {"variables": {"A": 1, "B": True, "C": 1e-4}, "pass": ["D"]}},
        {"resources": {"time": 90, "partition": None, "memory_per_node": 0}},
        {"sbatch": {"switches": 1}}, {"launcher": {"port": 20000}}, {"launcher": {"port": "auto"}},
        {"entrypoint": {"command": ["a", 1], "config": {"a": [None, {"b": 1}]}}},
        {"depends_on": {"afterok": [1234]}}, {"site": {"port_range": [15000, 16000]}},
        {"sweep": {"resources.nodes": [1, 2]}},
    ],
)  # fmt: skip
def test_it_accepts(change: dict[str, Any]) -> None:
    assert valid({"name": "x", "entrypoint": {"module": "m"}, **change})
