"""Dependencies, array indices and constraints: what Slurm takes, and what it would not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmkit.slurm.grammar import (
    Dependency,
    GrammarError,
    check_array,
    check_constraint,
    check_dependency,
)


def test_dependencies() -> None:
    assert check_dependency("afterok:1:2,afterany:3") == (
        Dependency("afterok", ("1", "2")),
        Dependency("afterany", ("3",)),
    )
    assert check_dependency("AfterNotOK:7?singleton")[1] == Dependency("singleton", ())
    assert check_dependency("after:12+5:13")[0].jobs == ("12+5", "13")
    for text in ("aftercorr:1_2", "afterok:1_*", "expand:5", "afterburstbuffer:1"):
        assert len(check_dependency(text)) == 1


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("afterok:1,afterany:2?singleton", "one of , and ?"),
        ("1234", "afterany:1234"),
        ("afterOk", "afterok:JOBID"),
        ("afterok:", "afterok:JOBID"),
        ("afterok:abc", "afterok:JOBID"),
        ("afterok:0", "afterok:JOBID"),
        ("afterok:-1", "afterok:JOBID"),
        ("afterok:9999999999", "afterok:JOBID"),
        ("afterok:1_[1-3]", "1_4"),
        ("afterok:1+5", "after:1+5"),
        ("after:1+", "after:1+5"),
        ("singleton:1", "write singleton"),
        ("afterokay:1", "write afterok"),
        (" afterok:1", "blanks"),
        ("afterok:1,", "use one of"),
        ("", "use one of"),
    ],
)
def test_bad_dependency_says_what_to_write(text: str, fix: str) -> None:
    with pytest.raises(GrammarError) as caught:
        check_dependency(text)
    assert fix in caught.value.fix


def test_arrays() -> None:
    assert check_array("0-3").indices == (0, 1, 2, 3)
    assert check_array("0-15:4%2") == ((0, 4, 8, 12), 2)
    assert check_array("7,1-3,2") == ((1, 2, 3, 7), None)
    assert check_array("0-1000").indices[-1] == 1000
    assert len(check_array("0-4000000", max_size=4_000_001).indices) == 4_000_001


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("5-1", "write 1-5"),
        ("0-15%0", "%4"),
        ("0-15%", "%4"),
        ("1-3:0", ":4"),
        ("3:2", ":4"),
        ("[1-3]", "no brackets"),
        ("1, 2", "no blanks"),
        ("", "0-15"),
        ("a", "0-15"),
        ("1-", "0-15"),
        ("0-1001", "1000"),
    ],
)
def test_bad_array_says_what_to_write(text: str, fix: str) -> None:
    with pytest.raises(GrammarError) as caught:
        check_array(text)
    assert fix in caught.value.fix


@given(st.sets(st.integers(0, 1000), min_size=1, max_size=40))
def test_listed_indices_read_back(indices: set[int]) -> None:
    text = ",".join(map(str, indices))
    assert check_array(text).indices == tuple(sorted(indices))


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("a100", "a100"),
        ("a100&ib|roce", "a100 ib roce"),
        ("foo&(bar|baz)", "foo bar baz"),
        ("graphics*4", "graphics"),
        ("[rack1|rack2|rack3]", "rack1 rack2 rack3"),
        ("[rack1*2&rack2*4]", "rack1 rack2"),
        ("[(rack1|rack2)*1&(rack3)*2]", "rack1 rack2 rack3"),
        ("[(a&b)*2|c*1]", "a b c"),
        ("gpu&[rack1|rack2]", "gpu rack1 rack2"),
        ("cpu-amd.v3_x=1", "cpu-amd.v3_x=1"),
    ],
)
def test_constraints(text: str, features: str) -> None:
    assert check_constraint(text) == tuple(features.split())


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("", "both sides"),
        ("a&", "both sides"),
        ("&a", "both sides"),
        ("a||b", "both sides"),
        ("a,b", "& (both)"),
        ("a b", "without blanks"),
        ("!a", "without blanks"),
        ("(a", "close the group with )"),
        ("[a|b", "close the group with ]"),
        ("a)", "both sides"),
        ("((a))", "both sides"),
        ("[[a]]", "both sides"),
        ("[a]&[b]", "parentheses"),
        ("a*0", "gpu*4"),
        ("a*", "gpu*4"),
        ("(a*2)", "(a&b)*2"),
        ("a*2&b*1", "write [a*2&b*1]"),
        ("[a*2&b]", "[a*2&b*1]"),
    ],
)
def test_bad_constraint_says_what_to_write(text: str, fix: str) -> None:
    with pytest.raises(GrammarError) as caught:
        check_constraint(text)
    assert fix in caught.value.fix


@given(st.lists(st.text("abc", min_size=1), min_size=1), st.lists(st.sampled_from("&|")))
def test_joined_features_read_back(names: list[str], operators: list[str]) -> None:
    text = names[0]
    for name, operator in zip(names[1:], operators, strict=False):
        text += operator + name
    assert check_constraint(text) == tuple(names[: len(operators) + 1])
