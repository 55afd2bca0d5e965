"""replace() merges by the rule of profiles and --set, and the Python to run under follows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import replace
from tests.spec.jobs import BASE, job

JOB = BASE.replace("{module: m}", "{module: m, args: [a, b], config: {a: {b: 1, c: 2}}}")
HERE = str(Path(sys.executable).absolute())


def test_mappings_merge_and_the_rest_replaces() -> None:
    spec = job(JOB)
    changed = spec.replace({"entrypoint": {"args": ["c"], "config": {"a": {"b": 3}, "d": 4}}})
    assert changed.entrypoint.args == ["c"]
    assert changed.entrypoint.config == {"a": {"b": 3, "c": 2}, "d": 4}
    assert spec == job(JOB)
    assert replace(spec, {}) == spec


def test_keywords_are_changes_too() -> None:
    spec = job(JOB)
    changed = spec.replace({"name": "y", "resources": {"nodes": 2}}, resources={"time": "5"})
    assert changed.name == "y"
    assert (changed.resources.nodes, changed.resources.time) == (2, "5")
    assert spec.replace(name="y") == spec.replace({"name": "y"})
    assert spec.replace() == spec
    with pytest.raises(SpecError, match="did you mean resources"):
        spec.replace(resource={"nodes": 2})


def test_replacing_nothing_keeps_what_was_set() -> None:
    spec = job(JOB + "resources: {nodes: 1}\n")
    assert spec.replace({}).model_fields_set == spec.model_fields_set
    assert spec.replace({}).resources.model_fields_set == {"nodes"}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"resources": {"node": 2}}, "did you mean nodes?"),
        ({"resources.nodes": 2}, "write nodes under `resources:`"),
        ({"resources": {"nodes": "2"}}, "write 2 without quotes"),
        ({"resources": None}, "leave the key out"),
        ({"environment": {"pass_": ["A"]}}, "did you mean pass?"),
        ({"environment": {"variables": {"A": None}}}, "write one value"),
        ({"environment": {"variables": {1: "a"}}}, "not the name of a variable"),
        ({1: 2}, "text as keys"),
        ({"entrypoint": {"config": {"a": {1, 2}}}}, "set is no YAML value"),
        ({"entrypoint": {"config": {3: 4}}}, "the key 3 is no text"),
        ({"entrypoint": {"config": {"a": b"x"}}}, "bytes is no YAML value"),
        ({"entrypoint": {"config": {"a": 10**5000}}}, "in quotes"),
        ({"resources": {"nodes": 10**5000}}, "65535 or less"),
        ({"launcher": {"kind": "srun", "rendezvous": "c10d"}}, "leave it out"),
    ],
)
def test_wrong_changes(changes: dict[Any, Any], what: str) -> None:
    with pytest.raises(SpecError) as caught:
        job(JOB).replace(changes)
    assert what in str(caught.value)
    assert str(caught.value).startswith("replace(): ")


def test_a_config_that_contains_itself() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless["b"] = [endless]
    with pytest.raises(SpecError, match="nested deeper than 50 levels"):
        job(JOB).replace({"entrypoint": {"config": endless}})


def test_a_config_is_a_copy() -> None:
    config = {"a": [1]}
    spec = job(BASE).replace({"entrypoint": {"config": config}})
    config["a"].append(2)
    assert spec.entrypoint.config == {"a": [1]}


def test_enums_and_other_subclasses_become_plain() -> None:
    class Number(float):
        pass

    class Text(str):
        __slots__ = ()

    spec = job(BASE).replace({"entrypoint": {"config": {"a": Number(0.5), "b": Text("c")}}})
    assert spec.entrypoint.config is not None
    assert [type(value) for value in spec.entrypoint.config.values()] == [float, str]


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("", HERE),
        ("environment: {variables: {A: b}}\n", HERE),
        ("environment: {modules: []}\n", HERE),
        ("environment: {venv: null}\n", HERE),
        ("environment: {venv: v}\n", None),
        ("environment: {conda: c}\n", None),
        ("environment: {modules: [cuda]}\n", None),
        ("environment: {python: /opt/python3}\n", "/opt/python3"),
        ("environment: {modules: [cuda], python: /opt/python3}\n", "/opt/python3"),
        ("container: {runtime: pyxis, image: a.sqsh}\n", None),
    ],
)
def test_the_python_to_run_under(text: str, python: str | None) -> None:
    assert job(BASE + text).environment.python == python


def test_the_python_to_run_under_after_replace() -> None:
    spec = job(BASE)
    for changes in (
        {"environment": {"venv": "v"}},
        {"environment": {"modules": ["cuda"]}},
        {"container": {"runtime": "pyxis", "image": "a.sqsh"}},
    ):
        changed = spec.replace(changes)
        assert changed.environment.python is None
        back = changed.replace({"environment": {"venv": None, "modules": []}, "container": None})
        assert back.environment.python == HERE
    given = spec.replace({"environment": {"python": "/opt/python3"}})
    assert given.replace({"name": "y"}).environment.python == "/opt/python3"


def test_a_job_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        job(BASE).name = "y"  # type: ignore[misc]
