"""Times, memory, names and versions: tables of good and bad, and their round trips."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmkit.slurm import grammar
from slurmkit.slurm.grammar import GrammarError

TIMES: dict[str, int | None] = {
    "90": 5400,
    "007": 420,
    "24:00": 24 * 60,
    "90:90": 5490,
    "12:00:00": 43200,
    "1:60:60": 7260,
    "00:00:01": 1,
    "1-12": 129600,
    "1-25": 176400,
    "1-2:3": 93780,
    "2-03:04:05": 183845,
    "24855-03:14:07": 2**31 - 1,
    "0": None,
    "0:00": None,
    "-1": None,
    "UNLIMITED": None,
    "infinite": None,
}
BAD_TIMES = {
    "2h": "2:00:00",
    "2 hours": "2:00:00",
    "1.5h": "1:30:00",
    "90m": "1:30:00",
    "30s": "0:00:30",
    "1d": "1-00:00:00",
    "1d12h30m": "1-12:30:00",
    "1w": "7-00:00:00",
    "1:02:03:04": "1-02:03:04",
    "1-": "1-0",
    " 5": "write 5",
    "": "12:00:00",
    "5:": "12:00:00",
    ":5": "12:00:00",
    "::": "12:00:00",
    "-5": "12:00:00",
    "+5": "12:00:00",
    "1--2": "12:00:00",
    "1-2-3": "12:00:00",
    "1-2:": "12:00:00",
    "1-2:3:4:5": "12:00:00",
    "1:2-3": "12:00:00",
    "unlim": "12:00:00",
    "²": "12:00:00",
    "2147483647": "UNLIMITED",
    "24855-03:14:08": "UNLIMITED",
    "9" * 5000: "UNLIMITED",
}
MEMORY = {
    "0": 0,
    "1": 1,
    "07": 7,
    "500G": 512000,
    "500g": 512000,
    "500GB": 512000,
    "500gb": 512000,
    "1K": 1,
    "1023k": 1,
    "1025K": 2,
    "4MB": 4,
    "1T": 1048576,
}
BAD_MEMORY = {
    "1P": "1024T",
    "1GiB": "1G",
    "500 G": "500G",
    "1.5G": "1536M",
    "all": "write 0",
    "": "500G",
    "G": "500G",
    "-1": "500G",
    "1B": "500G",
    "0x10": "500G",
    "1MM": "500G",
    "9" * 17 + "T": "write 0",
    "9" * 5000: "500G",
}
CHECKS: list[Callable[[str], object]] = [
    grammar.parse_time,
    grammar.parse_memory,
    grammar.parse_version,
    grammar.check_environment_name,
    grammar.check_name_list,
    grammar.expand_nodelist,
    grammar.count_nodelist,
    grammar.check_dependency,
    grammar.check_array,
    grammar.check_constraint,
]


@pytest.mark.parametrize(("text", "seconds"), TIMES.items())
def test_time_is_read_as_sbatch_reads_it(text: str, seconds: int | None) -> None:
    assert grammar.parse_time(text) == seconds


@pytest.mark.parametrize(("text", "fix"), BAD_TIMES.items(), ids=lambda text: text[:20])
def test_bad_time_says_what_to_write(text: str, fix: str) -> None:
    with pytest.raises(GrammarError) as caught:
        grammar.parse_time(text)
    assert fix in caught.value.fix
    assert len(str(caught.value)) < 400


@given(st.integers(1, 2**31 - 1))
def test_formatted_time_reads_back(seconds: int) -> None:
    assert grammar.parse_time(grammar.format_time(seconds)) == seconds


@pytest.mark.parametrize(("text", "megabytes"), MEMORY.items())
def test_memory_is_read_as_sbatch_reads_it(text: str, megabytes: int) -> None:
    assert grammar.parse_memory(text) == megabytes


@pytest.mark.parametrize(("text", "fix"), BAD_MEMORY.items(), ids=lambda text: text[:20])
def test_bad_memory_says_what_to_write(text: str, fix: str) -> None:
    with pytest.raises(GrammarError) as caught:
        grammar.parse_memory(text)
    assert fix in caught.value.fix


@pytest.mark.parametrize("text", ["A", "_", "MY_VAR2", "path"])
def test_legal_environment_names(text: str) -> None:
    assert grammar.check_environment_name(text) == text


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("MY-VAR", "MY_VAR"),
        ("2X", "_2X"),
        ("A B", "A_B"),
        ("", "MY_VARIABLE"),
        ("é", "MY_VARIABLE"),
    ],
)
def test_illegal_environment_name_offers_a_legal_one(text: str, fix: str) -> None:
    with pytest.raises(GrammarError) as caught:
        grammar.check_environment_name(text)
    assert caught.value.fix.endswith(fix)


@given(st.text(max_size=80))
def test_offered_environment_name_is_legal(text: str) -> None:
    try:
        grammar.check_environment_name(text)
    except GrammarError as error:
        grammar.check_environment_name(error.fix.split()[-1])


def test_name_lists() -> None:
    assert grammar.check_name_list("gpu,gpu-long") == ("gpu", "gpu-long")
    for text in ("gpu, long", "gpu long", "gpu,,long", "-gpu,long", ",gpu,long"):
        with pytest.raises(GrammarError, match="write gpu,long"):
            grammar.check_name_list(text)


def test_versions_order_by_year_and_month() -> None:
    assert grammar.parse_version("22.05") == (22, 5)
    assert grammar.parse_version("24.11.3") == (24, 11)
    assert grammar.parse_version("22.05") < grammar.parse_version("22.11.9")
    for text in ("", "22", "22.5", "22.13", "22.00", "2022.05", "22.05.", "22.05.1.2", "v22.05"):
        with pytest.raises(GrammarError, match="sbatch --version"):
            grammar.parse_version(text)


HUGE = {
    "brackets": "[" * 100_000,
    "parentheses": "(" * 100_000,
    "many brackets": "[1-60000]" * 10_000,
    "many ranges": "n[0-65535]," * 10_000,
    "many indices": "0-1000," * 50_000 + "1",
    "zeros": "0" * 100_000,
    "letters": "a" * 100_000,
    "padding": "a[" + "0" * 100_000 + "-9]",
}


def _refused_in_words(check: Callable[[str], object], text: str) -> None:
    refusal = None
    try:
        check(text)
    except GrammarError as error:
        refusal = error
    if refusal is not None:
        assert refusal.expected
        assert refusal.fix
        assert len(str(refusal)) < 1000


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@given(text=st.text(st.sampled_from("0123456789abnGKx-:,.[]()*&|?%+_ \n²é@") | st.characters()))
def test_nonsense_is_refused_in_words(check: Callable[[str], object], text: str) -> None:
    _refused_in_words(check, text)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", HUGE)
def test_huge_texts_take_bounded_time(check: Callable[[str], object], name: str) -> None:
    before = time.process_time()
    _refused_in_words(check, HUGE[name])
    assert time.process_time() - before < 2
