"""Each cause is known by its lines, in the wordings of old versions and new, and by no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from slurmkit.check.doctor.cause import by_code, causes
from slurmkit.check.doctor.lines import read_line
from slurmkit.check.doctor.sieve import needles_of

CASES: dict[str, dict[str, list[str]]] = yaml.safe_load(
    Path(__file__).with_name("cases.yaml").read_text(encoding="utf-8")
)
LISTED = [f"D{number:02}" for number in range(1, 52) if number not in (28, 29)]
"""The codes of the catalogue; it has no D28 and D29."""


def named(line: str) -> str | None:
    """Return the code of the cause that a line is taken for."""
    (said,) = read_line(line.encode())
    return next((cause.code for cause in causes() if cause.search(said.text)), None)


@pytest.mark.parametrize("code", CASES)
def test_its_lines_name_it(code: str) -> None:
    assert {line: named(line) for line in CASES[code]["is"]} == dict.fromkeys(
        CASES[code]["is"], code
    )


@pytest.mark.parametrize("code", CASES)
def test_lines_that_look_alike_do_not(code: str) -> None:
    assert code not in {named(line) for line in CASES[code]["not"]}


def test_each_cause_has_lines_and_near_misses_and_each_code_once() -> None:
    assert [code for code in LISTED if code not in by_code()] == []
    assert sorted(CASES) == sorted(cause.code for cause in causes())
    assert all(case["is"] and case["not"] for case in CASES.values())


def test_each_cause_says_what_it_means_what_to_do_and_who_says_so() -> None:
    told = [cause for cause in causes() if cause.code.startswith("D")]
    assert [c.code for c in told if not (c.meaning and c.fix and c.sources and c.title)] == []
    assert {code for cause in told for code in cause.yields_to} <= set(by_code())


def test_each_pattern_has_a_text_to_look_for_first() -> None:
    for cause in causes():
        for pattern in (*cause.patterns, *cause.cleared_by):
            assert needles_of(pattern.pattern), pattern.pattern
