"""All rules: their rows are whole, their examples hold, their fixes mend and stop."""

from __future__ import annotations

import re
import subprocess
from functools import cache

import pytest

from slurmkit.check.lint.explain import explain
from slurmkit.check.lint.fixes import fix
from slurmkit.check.lint.rule import CHECKS, Found, rules
from slurmkit.check.lint.run import lint

CODES = list(rules())
FIXED = [code for code, rule in rules().items() if rule.fixable == "yes"]
VERSIONS = (None, (26, 5), (22, 5))


@cache
def found(script: str, version: tuple[int, int] | None) -> list[Found]:
    return lint(script.encode(), "example", version)


def version_for(code: str) -> tuple[int, int] | None:
    """Return the version of Slurm under which a rule's bad example is bad."""
    bad = rules()[code].bad
    hits = [v for v in VERSIONS if any(f.code == code for f in found(bad, v))]
    assert hits, f"{code} is not found in its own bad example"
    return hits[0]


@pytest.mark.parametrize("code", CODES)
def test_the_row_is_whole(code: str) -> None:
    rule = rules()[code]
    assert re.fullmatch(r"SK[1-6]\d\d", code)
    assert rule.severity in ("error", "warning", "info")
    assert rule.fixable in ("yes", "suggest", "no")
    assert rule.title
    assert not rule.title.endswith(".")
    for words in (rule.why, rule.fix):
        assert words.strip().endswith((".", "?", ")", "`")), words
    assert rule.sources
    assert rule.bad
    assert rule.good
    assert code in explain(rule)


def test_every_rule_has_a_function_and_a_row() -> None:
    found("#!/bin/bash\n", None)
    assert sorted(CHECKS) == CODES


@pytest.mark.parametrize("code", CODES)
def test_the_examples_hold(code: str) -> None:
    version = version_for(code)
    good = [f for f in found(rules()[code].good, version) if f.code == code]
    assert good == [], good[0].what


@pytest.mark.parametrize("code", CODES)
def test_no_good_example_holds_an_error(code: str) -> None:
    wrong = [f for f in found(rules()[code].good, None) if f.severity == "error"]
    assert wrong == [], f"{wrong[0].code}: {wrong[0].what}"


@pytest.mark.parametrize("code", FIXED)
def test_the_fix_mends_the_bad_example(code: str) -> None:
    version = version_for(code)
    bad = rules()[code].bad.encode()

    def look(data: bytes) -> list[Found]:
        return [finding for finding in lint(data, "example", version) if finding.code == code]

    after = fix(bad, look)
    assert after.done
    assert after.data != bad
    assert look(after.data) == []
    assert fix(after.data, look).data == after.data
    assert subprocess.run(["bash", "-n"], input=after.data, check=False).returncode == 0
