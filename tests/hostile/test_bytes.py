"""Files that are no job file at all, or were one once: an error with its place, and soon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmkit.cli import main
from slurmkit.spec.dump import dump_yaml
from slurmkit.spec.errors import Problem, SpecError
from slurmkit.spec.load import resolve
from tests.hostile.specs import valid_jobs
from tests.hostile.texts import HOSTILE_TEXT, HOSTILE_TEXTS

LONGEST_ERROR = 60_000
SECONDS = 10
"""No file of a few kilobytes takes a hundredth of it."""

_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "utf-7", "cp037")
_PIECES = [
    b"\t", b"\r\n", b"\r", b"\n", b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"&a ", b"*a", b"<<: *a\n", b"? ", b": ", b"- ", b"[", b"]", b"{", b"}", b"'", b'"', b"|\n",
    b">-\n", b"#", b"!", b"!!python/object:os.system ", b"%YAML 1.1\n", b"---\n", b"...\n", b"\\",
    b"@", b"`", b"\x1b[31m", b"\xe2\x80\xa8", b"\xc2\x85", b"{{ x }}", b"${env:", b"~", b"null",
    b"&a [*a]", b"[" * 60, b"- " * 60, b"{a: " * 60, b"9" * 5000, b"x" * 5000, b"0x" + b"f" * 400,
]  # fmt: skip

_WORDS = st.sampled_from(_PIECES) | st.binary(min_size=1, max_size=4)
ANY_BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(_WORDS, max_size=30).map(b"".join),
    st.text(max_size=100).map(str.encode),
)


@st.composite
def mutated_jobs(draw: st.DrawFn) -> bytes:
    """Give a valid job file with a few accidents: lines gone, twice or elsewhere, other bytes."""
    data = dump_yaml(draw(valid_jobs())).encode()
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.sampled_from([_lines, _bytes, _encoded]))(draw, data)
    return data


def _lines(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    here, there = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    match draw(st.sampled_from(["drop", "repeat", "move", "indent", "join", "cut"])):
        case "drop":
            del lines[here]
        case "repeat":
            lines.insert(there, lines[here])
        case "move":
            lines.insert(there, lines.pop(here))
        case "indent":
            lines[here] = draw(st.sampled_from([b" ", b"   ", b"\t", b"- "])) + lines[here]
        case "join":
            lines[here] = lines[here].rstrip(b"\n")
        case "cut":
            del lines[here:]
    return b"".join(lines)


def _bytes(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(_WORDS) + data[at + draw(st.integers(0, 3)) :]


def _encoded(draw: st.DrawFn, data: bytes) -> bytes:
    if draw(st.booleans()):
        return data.replace(b"\n", b"\r\n")
    encoding = draw(st.sampled_from(_ENCODINGS))
    return data.decode(errors="replace").encode(encoding, "replace")


def told(data: bytes, *overrides: str) -> None:
    """Check that a file is read, or refused with places, in bounded time and length."""
    Path("job.yaml").write_bytes(data)
    began = time.process_time()
    problems = _problems(overrides)
    assert time.process_time() - began < SECONDS
    assert sum(len(str(problem)) for problem in problems) < LONGEST_ERROR
    for problem in problems:
        place = problem.place
        assert place.source.startswith(PLACES)
        if place.source == "job.yaml" and "over 4 MiB" not in problem.what:
            _check_place(data, place.line, place.column, problem.what)
        assert problem.fix, problem


def _problems(overrides: tuple[str, ...]) -> Sequence[Problem]:
    try:
        resolve("job.yaml", overrides=overrides)
    except SpecError as error:
        return error.problems
    return []


def _check_place(data: bytes, line: int | None, column: int | None, what: str) -> None:
    if "UTF-16" in what or "NUL bytes" in what:
        return
    assert line is not None, what
    assert column is not None, what
    breaks = sum(map(data.count, (b"\n", b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9")))
    assert 1 <= line <= breaks + 2, what
    assert 1 <= column <= len(data) + 2, what


@settings(max_examples=400, deadline=None)
@given(ANY_BYTES)
def test_any_bytes_are_told_where(data: bytes) -> None:
    told(data)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated_jobs())
def test_a_job_file_after_accidents_is_told_where(data: bytes) -> None:
    told(data)


@pytest.mark.proof
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY_BYTES | mutated_jobs())
def test_very_many_files_are_told_where(data: bytes) -> None:
    told(data)


_KEY = st.sampled_from(
    ["name", "resources.nodes", "resources", "environment.variables.A", "entrypoint.args",
     "sweep.a", "launcher.srun.cpu-bind", "site.port_range", "", ".", "a.b.c",
     "entrypoint.config.x.y"]
)  # fmt: skip
SETS = st.one_of(
    HOSTILE_TEXT,
    st.builds("{}={}".format, _KEY, HOSTILE_TEXT),
    st.builds("{}={}".format, HOSTILE_TEXT, HOSTILE_TEXT),
    st.builds("{}={}".format, _KEY, ANY_BYTES.map(lambda data: data.decode("utf-8", "replace"))),
)
BASE = b"name: x\nprofile: none\nentrypoint: {module: m, args: [a]}\n"


@settings(max_examples=300, deadline=None)
@given(st.lists(SETS, min_size=1, max_size=3))
def test_any_set_is_told(texts: list[str]) -> None:
    told(BASE, *texts)


CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
PLACES = ("job.yaml", "--set", "--profile", "Usage: ")


def validate(*words: str, data: bytes = BASE) -> Result:
    Path("job.yaml").write_bytes(data)
    result = CliRunner().invoke(main, ["validate", "job.yaml", *words])
    assert result.exit_code in (0, 2), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert result.stdout == ""
    if result.exit_code == 2:
        assert result.stderr.startswith(PLACES), result.stderr
    if not result.stderr.startswith("Usage: "):
        assert not CONTROL.search(result.stderr), "nothing that a terminal obeys"
    return result


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY_BYTES | mutated_jobs(), st.lists(SETS, max_size=1))
def test_the_command_line_never_throws(data: bytes, texts: list[str]) -> None:
    validate(*[word for text in texts for word in ("--set", text)], data=data)


@pytest.mark.parametrize("text", [text for text in HOSTILE_TEXTS if len(text) < 100])
def test_hostile_values_on_the_command_line(text: str) -> None:
    for words in (["--set", f"name={text}"], ["--set", text], ["--profile", text], [text]):
        validate(*words)


@pytest.mark.parametrize("text", [text for text in HOSTILE_TEXTS if text])
def test_hostile_names_of_job_files(text: str) -> None:
    result = CliRunner().invoke(main, ["validate", "--", text])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert not CONTROL.search(result.stderr), "nothing that a terminal obeys"


FILES = [
    b"", b"\xff\xfe\x00", b"\t", b"name: [", BASE + b"x: \xff\n", BASE + b"\x1b]0;x\x07: 1\n",
    BASE + "\U0001f600\u202e: 1\n".encode(), "name: é\n".encode("latin-1"), b"&a [*a]", BASE * 2,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FILES)))
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_real_process_exits_2_with_a_place(number: int, locale: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(FILES[number])
    environment = {**os.environ, "LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    ran = subprocess.run(
        [Path(sys.executable).with_name("slurmkit"), "validate", "job.yaml"],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env=environment,
    )
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.startswith(b"job.yaml:"), ran.stderr
    assert ran.stdout == b""
    assert b"Traceback" not in ran.stderr
    assert b"\x1b" not in ran.stderr, "nothing that a terminal obeys"
