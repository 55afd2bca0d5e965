"""Options of launchers: cut short, flags, values; words that the grammar cuts in two."""

from __future__ import annotations

import pytest

from slurmkit.check.script.launcher_options import full_name, takes_value
from slurmkit.check.script.launches import launches
from slurmkit.check.script.read import read


@pytest.mark.parametrize(
    ("launcher", "written", "name"),
    [
        ("torchrun", "--nnode", "nnodes"),
        ("torchrun", "--nproc_per_n", "nproc-per-node"),
        ("torchrun", "--rdzv", "rdzv"),
        ("torchrun", "--rdzv-conf", "rdzv-conf"),
        ("torchrun", "-m", "m"),
        ("accelerate", "--num_proc", "num-processes"),
        ("deepspeed", "--no_ssh", "no-ssh"),
        ("other", "--nnode", "nnode"),
    ],
)
def test_the_beginning_of_a_name_will_do(launcher: str, written: str, name: str) -> None:
    assert full_name(launcher, written) == name


@pytest.mark.parametrize(
    ("launcher", "name", "following", "expected"),
    [
        ("torchrun", "nnodes", "2", True),
        ("torchrun", "standalone", "a.py", False),
        ("torchrun", "unknown", "2", True),
        ("torchrun", "unknown", "--nnodes", False),
        ("torchrun", "nnodes", "-1", True),
        ("accelerate", "same-network", "a.py", False),
        ("accelerate", "m", "a", False),
    ],
)
def test_what_follows_may_be_its_value(
    launcher: str, name: str, following: str, expected: bool
) -> None:
    assert takes_value(launcher, name, following) == expected


def test_options_of_a_launch() -> None:
    script = read(b"#!/bin/bash\ntorchrun --new --nnode 2 --nproc_per_node=4 -m a.b --x 1\n", "x")
    (launch,) = launches(script)
    assert [option.name for option in launch.options] == ["new", "nnodes", "nproc-per-node", "m"]
    assert launch.program is not None
    assert launch.program.shown == "a.b"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run --e=`hostname`:29501 a", ["run", "--e=$(hostname):29501", "a"]),
        ("run a`b`c`d`e", ["run", "a$(b)c$(d)e"]),
        ("A=x`b`:1 run a", ["run", "a"]),
    ],
)
def test_a_word_with_backticks_is_one(line: str, words: list[str]) -> None:
    commands = read(f"#!/bin/bash\n{line}\n".encode(), "x").commands
    assert [word.shown for word in commands[-1].words] == words


@pytest.mark.parametrize("value", ["a\\\\", "\\\\", "a\\n\\'b\\\\", "a\\\\b", "a\\'"])
def test_a_quote_behind_two_backslashes_ends_the_word(value: str) -> None:
    script = read(f"#!/bin/bash\nexport A=$'{value}'\nrun 'x, y'\n".encode(), "x")
    assert [word.shown for word in script.commands[-1].words] == ["run", "x, y"]
    assert script.batch.assignments["A"][0].value is not None


def test_a_value_with_backticks_is_one() -> None:
    batch = read(b"#!/bin/bash\nexport A=x`b`:1 B=2\nC=tcp://`b`:1\n", "x").batch
    given = {name: found[0].value for name, found in batch.assignments.items()}
    shown = {name: value.shown for name, value in given.items() if value is not None}
    assert shown == {"A": "x$(b):1", "B": "2", "C": "tcp://$(b):1"}
    assert not batch.assignments["C"][0].is_exported
