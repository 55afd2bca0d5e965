"""A resolved job, dumped, is the same job; a config, dumped, is the same to every YAML reader."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmkit.spec.document import parse
from slurmkit.spec.dump import dump_job, dump_yaml, job_data
from slurmkit.spec.model import JobSpec
from slurmkit.spec.shape import ANYTHING, to_data
from tests.spec.jobs import BASE, config, job, with_config
from tests.spec.strategies import CONFIG, JOBS, NASTY, TEXT


def ours(text: str) -> Any:
    root = parse(text, "test")
    assert root is not None
    return to_data(root, ANYTHING, (), {})


def same_job(data: dict[str, Any]) -> None:
    spec = JobSpec.model_validate(data)
    text = dump_job(spec)
    again = job(text)
    assert again == spec
    assert dump_job(again) == text, "dumped again it is the same text"


@settings(max_examples=150, deadline=None)
@given(JOBS)
def test_a_dumped_job_is_the_same_job(data: dict[str, Any]) -> None:
    same_job(data)


@pytest.mark.proof
@settings(max_examples=3_000, deadline=None)
@given(JOBS)
def test_very_many_dumped_jobs_are_the_same(data: dict[str, Any]) -> None:
    same_job(data)


@settings(max_examples=300, deadline=None)
@given(CONFIG)
def test_every_reader_reads_a_dump_alike(data: dict[str, Any]) -> None:
    text = dump_yaml(data)
    assert yaml.safe_load(text) == data
    assert ours(text) == data


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts_as_keys_and_values(text: str) -> None:
    data = {text: text, "list": [text, [text]]}
    dumped = dump_yaml(data)
    assert yaml.safe_load(dumped) == ours(dumped) == data


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXT, st.from_regex(r"\A[-+]?[0-9._:xobeEaf-]{1,8}\Z"), st.floats().map(str)))
def test_text_stays_text(text: str) -> None:
    dumped = dump_yaml({"a": text})
    assert yaml.safe_load(dumped) == ours(dumped) == {"a": text}


@pytest.mark.parametrize("value", [1e-4, 1e-300, 1e22, 0.1, -0.0, math.inf, -math.inf, 1.0, 10**40])
def test_numbers_stay_what_they_are(value: float) -> None:
    dumped = dump_yaml({"a": value})
    for got in (yaml.safe_load(dumped), ours(dumped), config(dumped)):
        (read,) = got.values()
        assert (read, type(read)) == (value, type(value))
        assert math.copysign(1, read) == math.copysign(1, value)


def test_not_a_number_stays() -> None:
    spec = job(with_config("a: .nan"))
    again = job(dump_job(spec))
    assert again.entrypoint.config is not None
    assert math.isnan(again.entrypoint.config["a"])


def test_a_dump_is_block_yaml_in_the_order_of_the_fields() -> None:
    spec = job("entrypoint: {module: m, config: {b: 1, a: é}}\nresources: {nodes: 2}\nname: x\n")
    spec = spec.replace({"environment": {"python": "/opt/bin/python3"}})
    assert dump_job(spec) == (
        "name: x\n"
        "profile: none\n"
        "resources:\n"
        "  nodes: 2\n"
        "environment:\n"
        "  python: /opt/bin/python3\n"
        "entrypoint:\n"
        "  module: m\n"
        "  config:\n"
        "    b: 1\n"
        "    a: é\n"
    )


def test_a_dump_needs_no_profile() -> None:
    Path("site.yaml").write_text("resources: {partition: gpu}\n")
    spec = job(BASE, profile="./site.yaml")
    assert job_data(spec)["profile"] == "none"
    assert job(dump_job(spec)).resources.partition == "gpu"


def test_shared_parts_are_written_out() -> None:
    part = {"a": 1}
    assert "&" not in dump_yaml({"x": part, "y": part})


def test_the_pure_python_dumper_writes_the_same() -> None:
    program = (
        "import sys, yaml\n"
        "if sys.argv[1] == 'python': del yaml.CSafeDumper\n"
        "from slurmkit.spec.dump import dump_yaml\n"
        "from tests.spec.strategies import NASTY\n"
        "data = [dump_yaml({text: [text]}) for text in NASTY]\n"
        "sys.stdout.buffer.write(repr([yaml.safe_load(text) for text in data]).encode())\n"
    )
    here = Path(__file__).parents[2]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program, kind], check=True, capture_output=True, cwd=here
        ).stdout
        for kind in ("python", "c")
    ]
    assert outputs[0] == outputs[1]
