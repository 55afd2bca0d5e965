"""Profile < job file < --set: mappings merge key by key, lists and scalars replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.jobs import BASE, job, refused, resolved, the_problem

PROFILE = """\
resources: {partition: gpu, account: a, nodes: 2}
environment: {modules: [cuda, gcc], variables: {A: profile, B: profile}}
requeue: {max_requeues: 3}
"""
JOB = BASE + (
    "resources: {partition: debug, time: 10}\n"
    "environment: {modules: [nccl], variables: {B: job, C: job}}\n"
)


@pytest.fixture(autouse=True)
def site() -> None:
    Path("site.yaml").write_text(PROFILE)


def test_each_layer_covers_the_one_below() -> None:
    sets = ["environment.variables.C=set", "resources.nodes=4", "environment.modules=[one, two]"]
    spec = job(JOB, profile="./site.yaml", overrides=sets)
    resources, environment = spec.resources, spec.environment
    assert (resources.partition, resources.account, resources.time) == ("debug", "a", "10")
    assert resources.nodes == 4
    assert environment.variables == {"A": "profile", "B": "job", "C": "set"}
    assert environment.modules == ["one", "two"]
    assert spec.requeue is not None
    assert spec.requeue.max_requeues == 3


def test_null_drops_what_a_profile_says() -> None:
    spec = job(BASE + "resources: {partition: null}\nrequeue: null\n", profile="./site.yaml")
    assert spec.resources.partition is None
    assert spec.requeue is None


def test_later_sets_win() -> None:
    assert job(BASE, overrides=["resources.nodes=2", "resources.nodes=3"]).resources.nodes == 3


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("resources.time=12:00:00", ("resources", "time"), "12:00:00"),
        ("resources.partition=010", ("resources", "partition"), "010"),
        ("resources.partition=", ("resources", "partition"), None),
        ("resources.exclusive=true", ("resources", "exclusive"), True),
        ("entrypoint.args=[1, 010, 'a b']", ("entrypoint", "args"), ["1", "010", "a b"]),
        ("entrypoint.config={lr: 1e-4}", ("entrypoint", "config"), {"lr": 1e-4}),
        ("entrypoint.config.a.b=on", ("entrypoint", "config"), {"a": {"b": "on"}}),
        ("environment.variables.A=x=y", ("environment", "variables"), {"A": "x=y"}),
        ("environment.pass=[TOKEN]", ("environment", "pass_"), ["TOKEN"]),
        ("launcher={restarts: 1}", ("launcher", "restarts"), 1),
    ],
)
def test_set(override: str, path: tuple[str, str], value: object) -> None:
    spec = job(BASE, overrides=[override])
    assert getattr(getattr(spec, path[0]), path[1]) == value


@pytest.mark.parametrize(
    ("override", "shown", "what"),
    [
        ("resources.nodes", "--set resources.nodes", "no key=value"),
        ("=3", "--set ", "no key=value"),
        ("a..b=3", "--set a..b", "no key=value"),
        ("resources.nodes=two", "--set resources.nodes", "wrong type"),
        ("resources.nodes=", "--set resources.nodes", "wrong type"),
        ("resources.node=2", "--set resources.node", "unknown field"),
        ("resources.time=[a", "--set resources.time", "YAML does not parse"),
        ("resources.time=*a", "--set resources.time", "*a refers to no anchor"),
        ("resources.time=a: b", "--set resources.time", "a mapping where text belongs"),
        ("entrypoint.args=x", "--set entrypoint.args", "wrong type"),
        ("entrypoint.args.0=x", "--set entrypoint.args.0", "wrong type"),
        ("container.runtime=pyxis", "--set container.runtime", "is missing"),
        ("a\nb=1", "--set 'a\\nb'", "unknown field"),
        ("resources.nodes=2\n---\n3", "--set resources.nodes", "a second YAML document begins"),
    ],
)
def test_a_wrong_set(override: str, shown: str, what: str) -> None:
    problem = the_problem(BASE, overrides=[override])
    assert str(problem.place) == shown
    assert what in problem.what


def test_wrong_sets_are_told_together() -> None:
    assert len(refused(BASE, overrides=["a", "b=[", "resources.nodes=1"])) == 2


def test_a_set_does_not_move_what_the_job_file_lacks() -> None:
    problem = the_problem("entrypoint: {module: m}\n", overrides=["resources.nodes=2"])
    assert (problem.path, str(problem.place)) == ("name", "job.yaml:1:1")


def test_where_each_value_came_from() -> None:
    places = resolved(JOB, profile="./site.yaml", overrides=["resources.nodes=4"]).places
    assert str(places["resources", "account"]) == "site.yaml:1:29"
    assert str(places["resources", "partition"]) == "job.yaml:3:13"
    assert str(places["resources", "nodes"]) == "--set resources.nodes"


def test_set_does_not_turn_a_list_into_a_mapping() -> None:
    text = "name: x\nentrypoint: {module: m, args: [a, b]}\n"
    problem = the_problem(text, overrides=["entrypoint.args.0=c"])
    assert problem.path == "entrypoint.args"
    assert problem.fix == "write the whole list: --set entrypoint.args=[…]"
