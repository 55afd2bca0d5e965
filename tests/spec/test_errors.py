"""Errors carry the place, the value, what was expected and the fix; several are told together."""

from __future__ import annotations

import pytest

from slurmkit.spec.errors import Place, Problem, SpecError, dotted, nearest, shown
from tests.spec.jobs import BASE, job, refused, the_problem


def test_a_whole_error() -> None:
    text = (
        "name: x\n"
        "resources:\n"
        "  nodes: '2'\n"
        "  gpu_per_node: 8\n"
        "  time: 2h\n"
        "entrypoint: {module: m, args: ['${env:9}']}\n"
    )
    assert "\n".join(map(str, refused(text))) == (
        "job.yaml:3:3: resources.nodes: wrong type\n"
        "    value:    '2'\n"
        "    expected: a whole number\n"
        "    fix:      write 2 without quotes\n"
        "job.yaml:4:3: resources.gpu_per_node: unknown field\n"
        "    value:    8\n"
        "    fix:      did you mean gpus_per_node?\n"
        "job.yaml:5:3: resources.time: not a time limit\n"
        "    value:    '2h'\n"
        "    expected: minutes, minutes:seconds, hours:minutes:seconds, days-hours, "
        "days-hours:minutes, days-hours:minutes:seconds, or UNLIMITED\n"
        "    fix:      write 2:00:00\n"
        "job.yaml:6:32: entrypoint.args[0]: ${env:…} names no environment variable: '9'\n"
        "    value:    '${env:9}'\n"
        "    expected: ${env:NAME} or ${env:NAME:-default}\n"
        "    fix:      write a variable's name, or $${ for a literal ${"
    )


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("resources: {gpu_per_node: 8}", "did you mean gpus_per_node?"),
        ("resources: {gpus-per-node: 8}", "did you mean gpus_per_node?"),
        ("resource: {nodes: 2}", "did you mean resources?"),
        ("environment: {module: [cuda]}", "did you mean modules?"),
        ("environment: {qqq: {}}", "fields here are modules, venv"),
        ("nodes: 2", "write it as resources.nodes"),
        ("gpus-per-node: 2", "write it as resources.gpus_per_node"),
        ("gpu_per_node: 2", "did you mean resources.gpus_per_node?"),
        ("variables: {A: b}", "write it as environment.variables"),
        ("launcher: {nodes: 2}", "write it as resources.nodes"),
        ("environment: {args: []}", "write it as entrypoint.args"),
        ("mail-user: me", "write it as sbatch.mail-user"),
        ("resources: {mail_user: me}", "write it as sbatch.mail-user"),
        ("resources: {gpus: 8}", "write it as resources.gpus_per_node"),
        ("resources: {mem: 4G}", "write it as resources.memory_per_node"),
        ("resources: {ntasks-per-node: 4}", "write it as resources.processes_per_node"),
        ("job-name: y", "write it as name"),
        ("output: y", "remove it: slurmkit writes"),
        ("launcher: {cpu-bind: cores}", "write it as launcher.srun.cpu-bind"),
        ("resources.nodes: 2", "write nodes under `resources:`"),
        ("qqq: 2", "remove it; fields are name, profile"),
        ("site: {qqq: 2}", "remove it; fields here are slurm_version"),
        ("'': 2", "remove it"),
    ],
)
def test_unknown_fields(text: str, fix: str) -> None:
    problem = the_problem(BASE + text + "\n")
    assert problem.what == "unknown field"
    assert fix in (problem.fix or "")


@pytest.mark.parametrize(
    ("text", "expected", "fix"),
    [
        ("resources: {nodes: two}", "a whole number", "write a whole number"),
        ("resources: {nodes: 2.0}", "a whole number", "write 2"),
        ("resources: {nodes: 2.5}", "a whole number", "write a whole number"),
        ("resources: {nodes: true}", "a whole number", "write a whole number"),
        ("resources: {nodes: .inf}", "a whole number", "write a whole number"),
        ("resources: {nodes: 0}", "1 or more", "write 1 or more"),
        ("resources: {nodes: 99999999999999999999}", "65535 or less", "write 65535 or less"),
        ("resources: {nodes: null}", "a whole number", "leave the key out"),
        ("resources: {exclusive: yes}", "true or false", "write true"),
        ("resources: {exclusive: 'false'}", "true or false", "write false without quotes"),
        ("resources: {exclusive: 1}", "true or false", "write true or false"),
        ("resources:", "a mapping of fields", "under `resources:`, indented, such as `nodes:`"),
        ("launcher: srun", "a mapping of fields", "`launcher: {kind: srun}`"),
        ("launcher: {kind: torch}", "torchrun, srun or accelerate", "did you mean torchrun?"),
        ("launcher: {port: x}", "a whole number or auto", "write a whole number or auto"),
        ("requeue: true", "a mapping of fields", "write `requeue: {}`"),
        ("requeue: {when: [timelimit]}", "time_limit, preemption", "did you mean time_limit?"),
        ("requeue: {lead_time: 10}", "60 or more", "write 60 or more"),
        ("environment: {modules: cuda}", "a list", "write [cuda]"),
        ("environment: {setup: 'a, b'}", "a list", 'write ["a, b"]'),
        ("environment: {variables: [A=b]}", "a mapping", "write lines of `NAME: value`"),
        ("environment: {variables: {A: [b]}}", "text", "write one value"),
        ("sbatch: {comment: {a: b}}", "text", "write one value"),
        ("site: {port_range: [1]}", "a list of two numbers", "two numbers"),
        ("site: {port_range: [1, 2, 3]}", "a list of two numbers", "two numbers"),
        ("site: {port_range: 1}", "a list of two numbers", "two numbers"),
        ("site: {port_range: ['1', 2000]}", "a whole number", "write 1 without quotes"),
        ("site: {price_per_gpu_hour: x}", "a number", "write a number"),
        ("site: {price_per_gpu_hour: .nan}", "a number", "write a number"),
        ("site: {gpu_types: {a100: many}}", "a whole number", "write a whole number"),
        ("depends_on: {afterOK: [1]}", "afterok", "did you mean afterok?"),
        ("depends_on: {afterok: []}", "a list that is not empty", "not empty"),
        ("sweep: {resources.nodes: 2}", "a list", "write [2]"),
        (
            "container: {runtime: docker, image: x}",
            "pyxis, apptainer or singularity",
            "write pyxis",
        ),
    ],
)
def test_wrong_types(text: str, expected: str, fix: str) -> None:
    problem = the_problem(BASE + text + "\n")
    assert expected in (problem.expected or "")
    assert fix in (problem.fix or "")


def test_a_price_may_be_a_whole_number() -> None:
    assert job(BASE + "site: {price_per_gpu_hour: 2}\n").site.price_per_gpu_hour == 2.0


def test_missing_fields() -> None:
    problems = refused("# a comment\ncontainer: {}\n")
    assert [(problem.path, problem.fix) for problem in problems] == [
        ("name", "add `name: my-job`"),
        ("entrypoint", "add `entrypoint: {script: train.py}`"),
        ("container.runtime", "add `runtime: pyxis` under `container:`"),
        ("container.image", "add `image:` under `container:`"),
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("name: ''\nentrypoint: {module: m}\n", "name"),
        ("name: " + "x" * 201 + "\nentrypoint: {module: m}\n", "name"),
        ("name: x\nentrypoint: {script: ''}\n", "entrypoint.script"),
        ("name: x\nentrypoint: {module: ''}\n", "entrypoint.module"),
        (BASE + "environment: {modules: ['']}\n", "environment.modules[0]"),
        (BASE + "resources: {partition: ''}\n", "resources.partition"),
    ],
)
def test_empty_and_long_texts(text: str, path: str) -> None:
    assert the_problem(text).path == path


SECRETS = [
    "environment: {variables: {TOKEN: [sekret]}}",
    "environment: {variables: {TOKEN: {a: sekret}}}",
    'environment: {variables: {TOKEN: "sekret\\0"}}',
    "environment: {variables: {TOKEN: '${env:9:-sekret}'}}",
    "environment: {variables: {TO-KEN: sekret}}",
    "environment: {variables: [TOKEN=sekret]}",
    "environment: {variables: TOKEN=sekret}",
    "environment: {variabels: {TOKEN: sekret}}",
    "environment: {TOKEN: sekret}",
    "environment: TOKEN=sekret",
    "environment: [TOKEN=sekret]",
    "environment: {variables: {TOKEN: sekret}, pass: [TOKEN]}",
    "variables: {TOKEN: sekret}",
    "api_key: sekret",
    "sweep: {environment.variables.TOKEN: [sekret]}",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_not_shown(text: str) -> None:
    problems = refused(BASE + text + "\n")
    assert "sekret" not in str(SpecError(problems))
    assert all(problem.place.line == 3 for problem in problems)


@pytest.mark.parametrize(
    "override",
    ["environment.variables.T=[sekret]", "environment.variables.T=[sekret", "variables.T=sekret"],
)
def test_secrets_in_sets_are_not_shown(override: str) -> None:
    assert "sekret" not in str(SpecError(refused(BASE, overrides=[override])))


def test_what_is_shown_is_one_line_without_control_characters() -> None:
    problem = the_problem(BASE + '"a\\nb\\e[31m": 3\n')
    assert problem.path == r"'a\nb\x1b[31m'"
    problem = the_problem(BASE + 'resources: {nodes: "\\e[31m\\n"}\n')
    assert problem.value == r"'\x1b[31m\n'"


def test_small_words() -> None:
    assert dotted(("entrypoint", "args", 0)) == "entrypoint.args[0]"
    assert shown(None) == "null"
    assert shown([True]) == "[True]"
    assert shown(True) == "true"
    assert len(shown("x" * 500)) == 80
    assert "large" in shown(10**5000)
    assert nearest("gpu-per-node", ["gpus_per_node", "nodes"]) == "gpus_per_node"
    assert nearest("zzz", ["nodes"]) is None
    assert str(Problem("what", Place("a", 1, 2))) == "a:1:2: what"
