"""Sweeps are checked where they are written: what may be swept, and each value in its place."""

from __future__ import annotations

import pytest

from slurmkit.spec.errors import SpecError
from slurmkit.spec.explain import MOST
from slurmkit.spec.sweep import at_point, count_points
from tests.spec.jobs import refused, resolved, the_problem

SCRIPT = (
    "name: x\nentrypoint: {script: a.py, args: [b], config: {lr: 1, o: {n: 2}}}\n"
    "environment: {variables: {V: x}}\nresources: {nodes: 1}\nsweep:\n"
)


@pytest.mark.parametrize(
    ("line", "path", "column", "what"),
    [
        ("resources.nodes: [1, 2]", "sweep.resources.nodes", 3, "share one script"),
        ("requeue: [{}]", "sweep.requeue", 3, "share one script"),
        ("environment.venv: [a]", "sweep.environment.venv", 3, "share one script"),
        ("environment.variables: [{}]", "sweep.environment.variables", 3, "too much at once"),
        ("entrypoint: [{}]", "sweep.entrypoint", 3, "too much at once"),
        ("entrypoint.args: [[a], b]", "sweep.entrypoint.args[1]", 26, "wrong type"),
        ("entrypoint.args: [[[c]]]", "sweep.entrypoint.args[0]", 21, "a list where text"),
        ("entrypoint.script: [a, '']", "sweep.entrypoint.script[1]", 26, "an empty path"),
        ("entrypoint.module: [m]", "sweep.entrypoint.module[0]", 23, "module and script together"),
        ("entrypoint.command: [[a]]", "sweep.entrypoint.command[0]", 24, "script and command"),
        ("entrypoint.config: [{}, 3]", "sweep.entrypoint.config[1]", 27, "wrong type"),
        ("environment.variables.V: [[]]", "sweep.environment.variables.V[0]", 29, "a list where"),
        ("environment.variables.V: ['${env:1}']", "sweep.environment.variables.V[0]", 29, "names"),
        ("entrypoint.config.lr: ['${env:1}']", "sweep.entrypoint.config.lr[0]", 26, "names no"),
    ],
)
def test_what_is_wrong_is_told_in_its_place(line: str, path: str, column: int, what: str) -> None:
    problem = the_problem(f"{SCRIPT}  {line}\n")
    assert problem.path == path
    assert (problem.place.line, problem.place.column) == (6, column)
    assert what in problem.what
    assert problem.fix


def test_a_field_is_not_swept_together_with_what_it_is_part_of() -> None:
    problem = the_problem(
        SCRIPT + "  entrypoint.config.o: [{n: 1}]\n  entrypoint.config.o.n: [1]\n"
    )
    assert problem.path == "sweep.entrypoint.config.o.n"
    assert "entrypoint.config.o, which it is part of" in problem.what


def test_very_many_wrong_values_are_not_all_told() -> None:
    values = ", ".join(["a"] * 2000)
    assert len(refused(SCRIPT + f"  entrypoint.args: [{values}]\n")) <= MOST + 1


def test_secrets_among_swept_values_are_not_shown() -> None:
    assert the_problem(SCRIPT + "  environment.variables.V: [[sekret]]\n").value is None


def test_a_point_knows_where_its_values_were_written() -> None:
    text = SCRIPT + "  entrypoint.args: [[c], [d, e]]\n  entrypoint.config.o: [{m: 1}]\n"
    found = resolved(text, point=1)
    assert str(found.places["entrypoint", "args", 1]) == "job.yaml:6:30"
    assert str(found.places["entrypoint", "config", "o", "m"]) == "job.yaml:7:26"
    assert ("entrypoint", "config", "o", "n") not in found.places
    assert found.spec == at_point(resolved(text).spec, 1)


def test_a_thousand_points_are_counted_and_none_is_a_sweep_itself() -> None:
    values = ", ".join(f"[--n, {n}]" for n in range(500))
    spec = resolved(
        SCRIPT + f"  entrypoint.args: [{values}]\n  entrypoint.config.lr: [1, 2]\n"
    ).spec
    assert count_points(spec) == 1000
    point = at_point(spec, 999)
    assert point.entrypoint.args == ["--n", "499"]
    assert point.entrypoint.config == {"lr": 2, "o": {"n": 2}}
    assert not point.sweep


def test_a_mapping_replaces_the_whole_mapping() -> None:
    spec = resolved(SCRIPT + "  entrypoint.config: [{other: 1}, {}]\n").spec
    assert [at_point(spec, n).entrypoint.config for n in (0, 1)] == [{"other": 1}, {}]


def test_what_follows_sweep_in_set_is_the_dotted_path_of_a_field() -> None:
    lr = "sweep.entrypoint.config.lr=[1, 2]"
    job = resolved(SCRIPT + "  environment.variables.V: [a, b, c]\n", overrides=[lr])
    assert job.spec.sweep["entrypoint.config.lr"] == [1, 2]
    assert count_points(job.spec) == 6, "beside what the job file sweeps"
    with pytest.raises(SpecError, match=r"sweep\.resources\.nodes: the tasks of an array cannot"):
        resolved(SCRIPT + "  entrypoint.args: [[a]]\n", overrides=["sweep.resources.nodes=[1, 2]"])
