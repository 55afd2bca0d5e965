"""Variables, followed to what the script gives them, and not further than is sure."""

from __future__ import annotations

import pytest

from slurmkit.check.script.read import read
from slurmkit.check.script.variables import number, resolve


def _last(text: str) -> list[str | None]:
    """Return what the words of the last command `show` come to."""
    script = read(f"#!/bin/bash\n{text}\n".encode())
    command = [c for c in script.commands if c.name == "show"][-1]
    return [resolve(word, command.order, command.context) for word in command.words[1:]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nshow $A", "1"),
        ("export A=1\nshow ${A}", "1"),
        ("A=1\nA=2\nshow $A", "2"),
        ("A=1\nB=$A\nshow x$B", "x1"),
        ("A=1\nA+=2\nshow $A", "12"),
        ("show ${A:-4}", "4"),
        ("A=(a b c)\nshow ${A[1]}", "b"),
        ("A=2\nB=3\nshow $((A * B + 1))", "7"),
        ("N=2\nG=4\nW=$((N * $G))\nshow $W", "8"),
        ("if x; then A=1; show $A; fi", "1"),
        ("A=1\nfor x in 1 2; do show $A; B=2; done", "1"),
        ("for x in 1 2; do A=3; show $A; done", "3"),
        ("f() { show $1; }\nf 5", "5"),
        ("f() { show $2; }\nf 5 6", "6"),
        ("f() { local p=$1; shift; show $p$1; }\nf 5 6", "56"),
        ("f() { shift 2; show $1; }\nf 5 6 7", "7"),
        ("A='$B'\nshow $A", "$B"),
        ('read -r -d "" A <<EOF\nx y\nEOF\nshow "$A"', "x y"),
        ("A=$(cat <<EOF\nx y\nEOF\n)\nshow \"$A\"", "x y"),
    ],
)  # fmt: skip
def test_what_is_plain_is_known(text: str, expected: str) -> None:
    assert _last(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "show $A",
        "show $A\nA=1",
        "if x; then A=1; fi\nshow $A",
        "x && A=1\nshow $A",
        "for A in 1 2; do show $A; done",
        "read -r A\nshow $A",
        "read -r A <<EOF\nx\nEOF\nshow $A",
        "A=1\nunset A\nshow $A",
        "A=$(date)\nshow $A",
        "A=1\nwhile x; do A=2; done\nshow $A",
        "show $1",
        "f() { :; }\nf 5\nshow $1",
        "f() { shift $n; show $1; }\nf 5 6",
        "f() { shift; show $1; }\nf 5",
        "A=1\nfor x in 1 2; do show $A; A=2; done",
        "A=1\nfor x in 1 2; do show $A; ((A++)); done",
        "A=1\nfor ((A = 0; A < 2; A++)); do show $A; done",
        "A=1\nwhile x; do if y; then A=$((A + 1)); fi; show $A; done",
        "A=1\nshow ${A:0:1}",
        "A=1\nshow $((A / 0))",
    ],
)
def test_what_is_not_sure_is_not_known(text: str) -> None:
    assert _last(text)[0] is None


def test_an_array_becomes_its_words() -> None:
    script = read(b'#!/bin/bash\nA=(--lr "1 2" x)\nsrun "${A[@]}" $B\n')
    (command,) = script.commands
    assert [word.shown for word in script.layers[command].words] == [
        "srun", "--lr", "1 2", "x", "$B",
    ]  # fmt: skip


def test_an_unquoted_value_is_split_and_a_quoted_one_is_not() -> None:
    script = read(b'#!/bin/bash\nA="a b"\nshow $A "$A"\n')
    (command,) = script.commands
    assert [word.shown for word in script.layers[command].words] == ["show", "a", "b", "a b"]


def test_a_number_is_one() -> None:
    script = read(b"#!/bin/bash\nA=8\nB=x8\nshow $A $B ${C:-2}\n")
    (command,) = script.commands
    found = [number(word, command.order, command.context) for word in command.words[1:]]
    assert found == [8, None, 2]
