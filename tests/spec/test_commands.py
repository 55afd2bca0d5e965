"""The verbs validate, schema and render: exit codes, streams, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmkit.cli import main
from slurmkit.spec.model import JobSpec
from slurmkit.spec.shape import Shape, model_shape
from tests.spec.jobs import BASE
from tests.spec.strategies import NASTY, SCALAR, TEXT

WRONG = "name: x\nentrypoint: {module: m}\nresources: {gpu_per_node: 8}\n"


def run(verb: str, *options: str, job: str | bytes = BASE) -> Result:
    """Run a verb on a job file; exit codes are 0 and 2, and nothing but them is raised."""
    Path("job.yaml").write_bytes(job if isinstance(job, bytes) else job.encode())
    result = CliRunner().invoke(main, [verb, "job.yaml", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in (0, 2), result.output
    assert "Traceback" not in result.output
    if result.exit_code == 2:
        assert result.stdout == ""
        assert result.stderr.strip()
    return result


def test_validate() -> None:
    good = run("validate")
    assert (good.exit_code, good.stdout) == (0, "")
    assert "job.yaml: valid" in good.stderr
    bad = run("validate", job=WRONG)
    assert bad.exit_code == 2
    assert "job.yaml:3:13: resources.gpu_per_node: unknown field" in bad.stderr
    assert "did you mean gpus_per_node?" in bad.stderr


def test_validate_show() -> None:
    result = run("validate", "--show", "--set", "resources.nodes=3")
    assert result.exit_code == 0
    assert "nodes: 3" in result.stdout


def test_warnings_go_to_standard_error() -> None:
    result = run("validate", job=BASE + "environment: {variables: {API_KEY: sekret}}\n")
    assert result.exit_code == 0
    assert "pass: [API_KEY]" in result.stderr
    assert "sekret" not in result.output


def test_schema() -> None:
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "slurmkit job file"


def test_render_prints_the_script_and_nothing_else() -> None:
    good = run("render", job=BASE + "environment: {variables: {API_KEY: x}}\n")
    assert good.stdout.startswith("#!/bin/bash\n")
    assert good.stderr.startswith("slurmkit: warning: ")


@pytest.mark.parametrize("verb", ["render", "validate"])
@pytest.mark.parametrize(
    ("options", "job"),
    [
        ((), WRONG), ((), ""), ((), b"\xff"), ((), BASE + "launcher: {port: 40000}\n"),
        (("--set", "resources.nodes=two"), BASE), (("--set", "x"), BASE),
        (("--profile", "nowhere"), BASE), ((), BASE + "template: mine.j2\n"), (("--what",), BASE),
    ],
)  # fmt: skip
def test_a_wrong_job_exits_2_with_nothing_on_standard_output(
    verb: str, options: tuple[str, ...], job: str | bytes
) -> None:
    assert run(verb, *options, job=job).exit_code == 2


def test_a_job_file_that_is_not_there() -> None:
    result = CliRunner().invoke(main, ["validate", "nowhere.yaml"])
    assert result.exit_code == 2
    assert result.stderr.startswith("nowhere.yaml: cannot be read: No such file or directory")


def test_standard_input() -> None:
    program = [sys.executable, "-c", "from slurmkit.cli import main; main()"]
    for given_text, code in ((BASE, 0), (WRONG, 2)):
        ran = subprocess.run(
            [*program, "render", "-"], check=False, input=given_text, capture_output=True, text=True
        )
        assert ran.returncode == code, ran.stderr
        assert bool(ran.stdout) == (code == 0)
        assert ("<stdin>:3:13" in ran.stderr) == (code == 2)


def _structures() -> st.SearchStrategy[Any]:
    """Data under the keys that a job knows, and now and then under others."""
    anything = st.recursive(
        st.one_of(SCALAR, st.floats(), st.sampled_from(NASTY)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=5,
    )

    def of(shape: Shape) -> st.SearchStrategy[Any]:
        if shape.fields:
            known = {key: of(inner) for key, inner in shape.fields.items()}
            fields = st.fixed_dictionaries({}, optional=known)
            return st.one_of(fields, fields, fields, anything)
        if shape.inner:
            inner = of(shape.inner)
            return st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3), anything
            )
        return anything

    fields = model_shape(JobSpec).fields or {}
    return st.fixed_dictionaries({}, optional={key: of(shape) for key, shape in fields.items()})


STRUCTURES = _structures()


def _render(data: Any) -> None:
    run("render", job=json.dumps(data))


@settings(max_examples=200, deadline=None)
@given(STRUCTURES)
def test_no_structure_causes_a_traceback(data: Any) -> None:
    _render(data)


@settings(max_examples=200, deadline=None)
@given(STRUCTURES)
def test_no_structure_beside_a_good_job_causes_a_traceback(data: Any) -> None:
    _render({**data, "name": "x", "entrypoint": {"module": "m"}, "profile": "none"})


@pytest.mark.proof
@settings(max_examples=5_000, deadline=None)
@given(STRUCTURES)
def test_very_many_structures_cause_no_traceback(data: Any) -> None:
    _render({"name": "x", "entrypoint": {"module": "m"}, **data})
