"""YAML by the rules of 1.2's core schema, and what is no YAML, told with its place."""

from __future__ import annotations

import math
import time

import pytest

from slurmkit.spec.errors import Problem, SpecError
from slurmkit.spec.load import load
from tests.spec.jobs import BASE, config, job, refused, the_problem, with_config


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("no", "no"), ("y", "y"), ("010", "010"), ("12:00:00", "12:00:00"),
        ("1_000", "1_000"), ("0b1", "0b1"), ("2001-01-01", "2001-01-01"), ("=", "="), ("-x", "-x"),
        ("1e-4", 1e-4), ("1E5", 1e5), ("1.e3", 1e3), (".5", 0.5), ("5.", 5.0), ("-1.5e+3", -1500.0),
        ("0o17", 15), ("0x1F", 31), ("+1", 1), ("-0", 0), ("0", 0), (".inf", math.inf),
        ("-.INF", -math.inf), ("true", True), ("False", False), ("null", None), ("~", None),
        ("", None), ("'1'", "1"), ('"true"', "true"), ("''", ""), ("!!str 1", "1"),
         ("!!int '7'", 7),
        ("1e", "1e"), ("0o8", "0o8"), ("1.2.3", "1.2.3"), ("Yes", "Yes"), ("nUll", "nUll"),
    ],
)  # fmt: skip
def test_the_core_schema(text: str, value: object) -> None:
    got = config(f"a: {text}")["a"]
    assert got == value
    assert type(got) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(config("a: .nan")["a"])


@pytest.mark.parametrize("text", ["9" * 301, "0x" + "f" * 5000, "-" + "1" * 10_000])
def test_endless_digits_are_text(text: str) -> None:
    assert config(f"a: {text}")["a"] == text


def test_keys_are_text() -> None:
    assert config("1: a\ntrue: b\n1.50: c") == {"1": "a", "true": "b", "1.50": "c"}


def test_merge_keys_give_way_to_own_keys() -> None:
    got = config(
        "a: &a {x: 1, y: 2}\nbefore:\n  x: 5\n  <<: *a\nafter:\n  <<: *a\n  x: 5\n"
        "two:\n  <<: [*a, {y: 9, z: 3}]\nquoted: {'<<': 1}"
    )
    assert got["before"] == got["after"] == {"x": 5, "y": 2}
    assert got["two"] == {"x": 1, "y": 2, "z": 3}
    assert got["quoted"] == {"<<": 1}


def test_merge_of_a_scalar_is_refused() -> None:
    problem = the_problem(with_config("<<: 3"))
    assert problem.what == "<< merges mappings only"


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("\n", "\r\n"), "\ufeff" + BASE, "---\n" + BASE + "...\n",
        "%YAML 1.2\n---\n" + BASE,
        "# first\n\n" + BASE, '{"name": "x", "entrypoint": {"module": "m"}}', BASE.rstrip("\n"),
    ],
)  # fmt: skip
def test_the_same_job_in_other_clothes(text: str) -> None:
    assert job(text) == job(BASE)


SYNTAX = [
    ("name: x\nentrypoint:\n\tmodule: m\n", 3, 1, "indent with spaces"),
    ("name: x\nname: y\n" + BASE[8:], 2, 1, "keep one"),
    ("name: x\n'name': y\n", 2, 1, "keep one"),
    ("name: a: b\n", 1, 8, "in quotes"),
    ("name: `x`\n", 1, 7, "in quotes: none begins with `"),
    ("name: @x\n", 1, 7, "in quotes: none begins with @"),
    ("name: %x\n", 1, 7, "in quotes: none begins with %"),
    ("name: 'x\n", 2, 1, "close the quotes"),
    ('name: "\\d"\n', 1, 8, r"write \\ for a backslash"),
    ("name: x\nentrypoint: {module: m\n", 3, 1, "close the bracket"),
    ("name x\nentrypoint: {module: m}\n", 2, 11, "a missing colon just above"),
    ("? [a]\n: b\n", 1, 3, "in quotes"),
    ("name: {{x}}\n", 1, 8, "in quotes"),
    ("name: *x\n", 1, 7, "in quotes"),
    (BASE + "---\n" + BASE, 3, 1, "keep one document a file"),
    ("name: !env X\n", 1, 7, "plain data"),
    ("name: !!python/object:os.system X\n", 1, 7, "plain data"),
    ("# é\nname: éé\x07b\n", 2, 9, "remove it"),
    ("", 1, 1, "begin with"),
    ("# nothing\n\n", 1, 1, "begin with"),
    ("~\n", 1, 1, "write lines"),
    ("- a\n", 1, 1, "write lines"),
    ("just text\n", 1, 1, "write lines"),
]


@pytest.mark.parametrize(("text", "line", "column", "fix"), SYNTAX)
def test_what_is_no_job_file(text: str, line: int, column: int, fix: str) -> None:
    problem = the_problem(text)
    assert (problem.place.source, problem.place.line, problem.place.column) == (
        "job.yaml",
        line,
        column,
    )
    assert fix in (problem.fix or "")


def test_an_unclosed_bracket_is_found_where_it_opens() -> None:
    assert "begins in line 2" in the_problem("name: x\nentrypoint: {module: m\nhosts: [a]\n").what


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("name: é\n".encode("latin-1"), "byte 0xe9 is not UTF-8"),
        (BASE.encode("utf-16"), "the file is UTF-16"),
        (b"\x7fELF\0\1", "this is no text file"),
        (b"# \xff", "byte 0xff is not UTF-8"),
        (b"#" * 5_000_000, "over 4 MiB"),
    ],
)
def test_what_is_no_text(data: bytes, what: str) -> None:
    assert what in the_problem(data).what


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nowhere.yaml", "No such file"),
        (".", "Is a directory"),
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("/dev/zero", "over 4 MiB"),
    ],
)
def test_what_is_no_file(name: str, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        load(name)


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SpecError, match="<stdin>: cannot be read"):
        load("-")


def _laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return "\n".join(lines) + "\n"


EXPLOSIONS = {
    "billion laughs": _laughs(10),
    "merged laughs": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 45)),
    "contains itself": "name: x\nentrypoint: &a {module: m, config: {x: *a}}\n",
    "deep flow": "[" * 1_000_000,
    "deep block": "- " * 500_000,
    "deep mapping": "name: " + "{a: " * 100_000,
    "many values": "a: [" + "[]," * 150_000 + "]",
    "many unknown keys": BASE + "".join(f"k{number}: 1\n" for number in range(30_000)),
    "many wrong items": BASE + "hosts: [" + "[]," * 30_000 + "]\n",
    "many anchors": "".join(f"a{i}: &a{i} x\n" for i in range(30_000)),
    "a long tag": "!" * 2_000_000,
    "a long key": "x" * 2_000_000 + ": 1\n",
    "a long quoted key": BASE + f"? '{'x' * 2_000_000}'\n: 1\n",
    "a long name": f"name: {'x' * 2_000_000}\nentrypoint: {{module: m}}\n",
    "open references": with_config(f"a: {'${env:' * 300_000}"),
    "colons": ":" * 1_000_000,
    "a wide node list": BASE + "resources: {nodelist: 'a[1-9999999]b[1-9999999]c[1-9999999]'}\n",
    "a long constraint": BASE + "resources: {constraint: '" + "(a&" * 100_000 + "'}\n",
}


@pytest.mark.parametrize("name", EXPLOSIONS)
def test_no_file_exhausts_the_machine(name: str) -> None:
    began = time.process_time()
    problems = refused(EXPLOSIONS[name])
    assert time.process_time() - began < 5
    assert len(str(SpecError(problems))) < 40_000


def test_of_very_many_problems_the_first_are_told() -> None:
    problems = refused(EXPLOSIONS["many unknown keys"])
    assert [problem.path for problem in problems[:2]] == ["k0", "k1"]
    assert problems[-1].what == "and about 29950 more problems"


def test_a_job_as_large_as_allowed_is_read_quickly() -> None:
    began = time.process_time()
    assert len(job(BASE + "hosts: [" + "h," * 90_000 + "]\n").hosts) == 90_000
    assert time.process_time() - began < 5


def test_the_pure_python_loader_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    fast = job(BASE + "environment: {variables: {A: 010}}\n")
    monkeypatch.setattr("slurmkit.spec.document._Loader", yaml.SafeLoader)
    assert job(BASE + "environment: {variables: {A: 010}}\n") == fast
    for text, line, _, _ in SYNTAX:
        assert the_problem(text).place.line in (line, line - 1)
    problem = the_problem(BASE + 'environment: {variables: {A: "\\ud83d\\ude00"}}\n')
    assert isinstance(problem, Problem)
