"""Node lists: the order of scontrol show hostnames, bounds, and names built from parts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmkit.slurm.grammar import MAX_NODES, GrammarError, count_nodelist, expand_nodelist

GOOD = {
    "a": "a",
    "a1,a1,a2": "a1 a1 a2",
    "rack[1-2]node[03-04,12]": (
        "rack1node03 rack1node04 rack1node12 rack2node03 rack2node04 rack2node12"
    ),
    "a[3,1,2,2]": "a3 a1 a2 a2",
    "a[01-3]": "a01 a02 a03",
    "a[1-03]": "a1 a2 a3",
    "a[08-11]": "a08 a09 a10 a11",
    "a[001-002,1]": "a001 a002 a1",
    "a[0099-101]": "a0099 a0100 a0101",
    "[1-3]": "1 2 3",
    "10.0.0.[1-2]": "10.0.0.1 10.0.0.2",
    "a[1-2][3-4]": "a13 a14 a23 a24",
    "a[1-2]-[1-2]": "a1-1 a1-2 a2-1 a2-2",
    "a[1-2]b[3-4]c[5-6]": "a1b3c5 a1b3c6 a2b3c5 a2b3c6 a1b4c5 a1b4c6 a2b4c5 a2b4c6",
    "a[1-2],login-1.site,b[7]": "a1 a2 login-1.site b7",
    "node[1-2]-ib": "node1-ib node2-ib",
}
BAD = {
    "": "node1,node2",
    ",": "node1,node2",
    "a,,b": "a,b",
    "a,": "write a",
    "a b": "write a,b",
    "a[1": "close the bracket",
    "a1]": "pairs",
    "a[[1-2]]": "pairs",
    "a[]": "low and the high",
    "a[-3]": "low and the high",
    "a[1-]": "low and the high",
    "a[x]": "low and the high",
    "a[1-2-3]": "low and the high",
    "a[1, 2]": "low and the high",
    "a[2-1]": "1-2",
    "a{1-2}": "letters, digits",
    "-a": "letters, digits",
    "$(id)": "letters, digits",
    "/home/me/hosts": "not a file",
    "n[0-65536]": "fewer",
    "a[1-300]b[1-300]": "fewer",
    "n[0-65535],m": "fewer",
    "a" * 256: "shorten",
    "a[99999999999999999999]": "low and the high",
}


@pytest.mark.parametrize(("text", "names"), GOOD.items())
def test_expands_in_slurms_order(text: str, names: str) -> None:
    assert expand_nodelist(text) == names.split()
    assert count_nodelist(text) == len(names.split())


@pytest.mark.parametrize(("text", "fix"), BAD.items(), ids=lambda text: text[:25])
def test_bad_list_says_what_to_write(text: str, fix: str) -> None:
    with pytest.raises(GrammarError) as caught:
        expand_nodelist(text)
    assert fix in caught.value.fix
    with pytest.raises(GrammarError):
        count_nodelist(text)


def test_the_largest_list() -> None:
    assert len(expand_nodelist(f"n[0-{MAX_NODES - 1}]")) == MAX_NODES


WORDS = st.text("abcXYZ", min_size=1, max_size=4)
SPANS = st.tuples(st.integers(0, 120), st.integers(0, 4), st.integers(0, 4))


@given(st.lists(st.tuples(WORDS, st.lists(SPANS, min_size=1, max_size=3)), min_size=1, max_size=2))
def test_list_built_from_parts_expands_to_them(
    parts: list[tuple[str, list[tuple[int, int, int]]]],
) -> None:
    text, columns = "", []
    for word, spans in parts:
        written = ",".join(f"{low:0{width}}-{low + more:0{width}}" for low, more, width in spans)
        text += f"{word}[{written}]"
        columns.append(
            [
                f"{word}{number:0{max(width, len(str(low)))}}"
                for low, more, width in spans
                for number in range(low, low + more + 1)
            ]
        )
    names = ["".join(name) for name in itertools.product(*columns)]
    assert expand_nodelist(f"{text},last") == [*names, "last"]
    assert count_nodelist(text) == len(names)
