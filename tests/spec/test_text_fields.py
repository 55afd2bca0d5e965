"""Fields that hold text: scalars as they are written, literal but for `${env:NAME}`."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurmkit.spec.errors import SpecError
from slurmkit.spec.fields import references
from tests.spec.jobs import BASE, job, refused, the_problem

AS_WRITTEN = [
    "1", "010", "0123", "1e-4", "1.50", "true", "No", "on", "0x10", "~", "null", "12:00:00",
    "2001-01-01", ".inf", "-x", "a b",
]  # fmt: skip


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_text_is_taken_as_it_is_written(text: str) -> None:
    spec = job(
        f"name: {text}\n"
        f"environment: {{variables: {{A: {text}}}, modules: [{text}]}}\n"
        f"sbatch: {{comment: {text}}}\n"
        f"entrypoint: {{module: m, args: [{text}]}}\n"
    )
    assert spec.name == spec.environment.variables["A"] == spec.environment.modules[0] == text
    assert spec.sbatch["comment"] == spec.entrypoint.args[0] == text


@pytest.mark.parametrize("text", ["~", "null", "Null", "NULL", ""])
def test_fields_that_may_be_left_out_take_null(text: str) -> None:
    spec = job(BASE + f"resources: {{partition: {text}, time: {text}, nodelist: {text}}}\n")
    assert spec.resources.partition is spec.resources.time is spec.resources.nodelist is None


def test_quoted_null_is_text() -> None:
    assert job(BASE + "resources: {partition: 'null', account: \"~\"}\n").resources.account == "~"


def test_an_empty_value_is_empty_text() -> None:
    assert job(BASE + "environment: {variables: {A: , B: ''}}\n").environment.variables == {
        "A": "",
        "B": "",
    }


def test_block_scalars() -> None:
    two = "    A: |\n      two\n      lines\n    B: >-\n      folded\n      line\n"
    variables = job(BASE + "environment:\n  variables:\n" + two).environment.variables
    assert variables == {"A": "two\nlines\n", "B": "folded line"}


def test_times_and_memory_keep_their_form() -> None:
    spec = job(BASE + "resources: {time: 90, memory_per_node: 0}\n")
    assert (spec.resources.time, spec.resources.memory_per_node) == ("90", "0")


def test_sweeps_over_text_take_values_as_written() -> None:
    spec = job(
        "name: x\nentrypoint: {module: m, config: {x: 0}}\n"
        "environment: {variables: {LR: 0}}\n"
        "sweep: {entrypoint.args: [[90, 1:30:00]], entrypoint.config.x: [1, 1e-4, 010],"
        " environment.variables.LR: [1e-4, 010]}\n"
    )
    assert spec.sweep == {
        "entrypoint.args": [["90", "1:30:00"]],
        "entrypoint.config.x": [1, 1e-4, "010"],
        "environment.variables.LR": ["1e-4", "010"],
    }


def test_from_python_numbers_and_paths_become_text() -> None:
    spec = job(BASE).replace(
        {
            "environment": {"variables": {"A": 1, "B": True, "C": 1e-4}, "venv": Path("v")},
            "resources": {"time": 90},
        }
    )
    assert spec.environment.variables == {"A": "1", "B": "true", "C": "0.0001"}
    assert (spec.environment.venv, spec.resources.time) == ("v", "90")


ENV_FIELDS = [
    "entrypoint: {module: m, args: ['T']}", "entrypoint: {command: [a, 'T']}",
    "entrypoint: {script: 'T'}", "entrypoint: {module: m, config: {a: 'T'}}",
    "entrypoint: {module: m, config: {a: [1, {b: 'T'}]}}",
    "entrypoint: {module: m}\nenvironment: {variables: {A: 'T'}}",
    "entrypoint: {module: m}\nenvironment: {venv: 'T'}",
    "entrypoint: {module: m}\nenvironment: {conda: 'T'}",
    "entrypoint: {module: m}\ncontainer: {runtime: apptainer, image: 'T', mounts: ['T']}",
]  # fmt: skip
TEXT_FIELDS = [
    "resources: {partition: 'T'}", "resources: {account: 'T'}", "resources: {time: 'T'}",
    "resources: {nodelist: 'T'}", "resources: {constraint: 'T'}", "sbatch: {comment: 'T'}",
    "launcher: {srun: {cpu-bind: 'T'}}", "environment: {modules: ['T']}",
    "environment: {network_interface: 'T'}", "environment: {pass: ['T']}",
    "depends_on: {afterok: ['T']}", "hosts: ['T']", "site: {host_suffix: 'T'}",
]  # fmt: skip


@pytest.mark.parametrize("field", ENV_FIELDS)
@pytest.mark.parametrize(
    "text", ["${env:A}", "a${env:A}b", "${env:A:-x y}", "$${env:A}", "${A}", "$A"]
)
def test_environment_is_read_in(field: str, text: str) -> None:
    job(f"name: x\n{field}\n".replace("'T'", f"'{text}'"))


@pytest.mark.parametrize("field", ENV_FIELDS)
@pytest.mark.parametrize("text", ["${env:A", "${env:}", "${env:1}", "${env:A-B}", "${env:A b:-x}"])
def test_a_bad_reference_is_refused_where_it_stands(field: str, text: str) -> None:
    for problem in refused(f"name: x\n{field}\n".replace("'T'", f"'{text}'")):
        assert "${env:" in problem.what
        assert "$${" in str(problem.fix)


def test_a_bad_reference_in_a_config_has_its_own_place() -> None:
    problems = refused(
        "name: x\nentrypoint:\n  module: m\n  config:\n    a: [1, '${env:']\n    b: '${env:9}'\n"
    )
    assert [(str(problem.place), problem.path) for problem in problems] == [
        ("job.yaml:5:12", "entrypoint.config.a[1]"),
        ("job.yaml:6:5", "entrypoint.config.b"),
    ]


@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_environment_is_not_read_in(field: str) -> None:
    problem = the_problem(BASE + field.replace("'T'", "'${env:A}'") + "\n")
    assert "is not read here" in problem.what or problem.path == "environment.pass[0]"


def test_references() -> None:
    assert references("a${env:B}c$${d}${env:E:-f g}") == [
        ("a", None, None),
        ("", "B", None),
        ("c${d}", None, None),
        ("", "E", "f g"),
    ]
    assert references("") == [("", None, None)]
    assert references("${x} $y `z`") == [("${x} $y `z`", None, None)]
    assert references("$${env:A}") == [("${env:A}", None, None)]
    assert references("${env:A:-}") == [("", "A", "")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('environment: {variables: {A: "a\\0b"}}', "NUL"),
        ('resources: {partition: "a\\nb"}', "line break"),
        ('environment: {setup: ["a\\x1b"]}', "control character"),
        ('environment: {venv: "a\\nb"}', "line break"),
        ("environment: {venv: ~bob/x}", "~user"),
        ("environment: {venv: ''}", "empty path"),
        ("environment: {variables: {1A: x}}", "not the name of a variable"),
        ("hosts: [-oProxyCommand=x]", "no host name"),
        ("resources: {partition: 'a, b'}", "not names that Slurm can have"),
        ("resources: {gpu_type: 'a100:4', gpus_per_node: 4}", "more than a GPU type"),
    ],
)
def test_texts_that_cannot_be_meant(text: str, what: str) -> None:
    assert what in the_problem(BASE + text + "\n").what


@pytest.mark.parametrize("text", ["\ud83d", "a\udfffb"])
def test_half_characters_are_refused(text: str) -> None:
    spec = job(BASE)
    for changes in (
        {"name": text},
        {"environment": {"variables": {"A": text}}},
        {"entrypoint": {"args": [text], "config": {"a": text, text: 1}}},
        {"sbatch": {text: "a"}},
        {text: 1},
    ):
        with pytest.raises(SpecError) as caught:
            spec.replace(changes)
        str(caught.value).encode()


def test_a_home_directory_is_read_on_the_node() -> None:
    assert job(BASE + "environment: {venv: ~/envs/a}\n").environment.venv == "~/envs/a"
