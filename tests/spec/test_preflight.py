"""`preflight` in the job file: its short form, its long form, and what is wrong with either."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from slurmkit.spec.dump import dump_job
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import resolve
from slurmkit.spec.model import JobSpec
from slurmkit.spec.preflight import CHECKS, Preflight
from slurmkit.spec.schema import json_schema
from slurmkit.spec.warnings import warnings


def job(text: str, *overrides: str) -> JobSpec:
    Path("job.yaml").write_text(
        f"name: x\nentrypoint: {{script: a.py}}\npreflight: {text}\n", encoding="utf-8"
    )
    return resolve("job.yaml", overrides=overrides, profile="none").spec


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "checks"),
    [("[hosts, gpus]", ["hosts", "gpus"]), ("{}", CHECKS), ("{timeout: 9}", CHECKS)],
)
def test_a_list_is_the_short_form_and_a_mapping_takes_all(text: str, checks: list[str]) -> None:
    asked = job(text).preflight
    assert asked is not None
    assert asked.checks == checks


@pytest.mark.parametrize("text", ["[]", "null"])
def test_nothing_is_asked_for(text: str) -> None:
    assert job(text).preflight is None


def test_data_without_paths_are_asked_about() -> None:
    told = "preflight.checks: has data, but preflight.data names none to compare"
    assert told in warnings(job("[hosts, data]"), paths=False)
    for text in ("{}", "[hosts]", "{checks: [data], data: [/x]}"):
        assert told not in warnings(job(text), paths=False)


def test_paths_that_no_check_looks_at() -> None:
    for name in ("data", "storage"):
        told = f"preflight.{name}: nothing looks at it: add {name} to preflight.checks"
        assert told in warnings(job(f"{{checks: [hosts], {name}: [/x]}}"), paths=False)
        for text in (f"{{{name}: [/x]}}", f"{{checks: [{name}], {name}: [/x]}}", "[hosts]"):
            assert told not in warnings(job(text), paths=False)


def test_it_is_written_down_and_read_again() -> None:
    spec = job("{checks: [data], data: [~/x], free_space: 2T, timeout: 9, on_failure: warn}")
    Path("again.yaml").write_text(dump_job(spec), encoding="utf-8")
    assert resolve("again.yaml").spec.preflight == spec.preflight
    assert spec.replace(preflight=["hosts"]).preflight == Preflight(checks=["hosts"])


@pytest.mark.parametrize(
    ("text", "told", "fix"),
    [
        ("[hosts, gpu]", "job.yaml:3:20: preflight[1]: wrong value", "did you mean gpus?"),
        ("{checks: [gpu]}", "preflight.checks[0]: wrong value", "hosts"),
        ("{checks: []}", "job.yaml:3:13: preflight.checks: wrong value", "not empty"),
        ("{check: [hosts]}", "preflight.check: unknown field", "did you mean checks?"),
        ("gpus", "job.yaml:3:1: preflight: wrong type", "write `preflight: [gpus]`"),
        ("true", "preflight: wrong type", "write `preflight: {}`"),
        ("no", "preflight: wrong type", "leave preflight out"),
        ("{free_space: much}", "preflight.free_space: not an amount of memory", "500G"),
        ("{data: [~me/x]}", "preflight.data[0]: ~user is not expanded", "~/"),
    ],
)
def test_mistakes_are_told_with_their_place_and_fix(text: str, told: str, fix: str) -> None:
    with pytest.raises(SpecError) as caught:
        job(text)
    assert told in str(caught.value)
    assert fix in str(caught.value)


@pytest.mark.parametrize("value", [["hosts"], [], {}, {"data": ["/x"]}, None])
def test_the_schema_takes_both_forms(value: object) -> None:
    validator = Draft202012Validator(json_schema())
    whole = {"name": "x", "entrypoint": {"script": "a.py"}, "preflight": value}
    assert validator.is_valid(whole)
    assert not validator.is_valid({**whole, "preflight": ["gpu"]})
    assert not validator.is_valid({**whole, "preflight": {"check": ["hosts"]}})
