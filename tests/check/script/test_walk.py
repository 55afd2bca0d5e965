"""The walk through a script: which commands run, where, in which order, and what is around them."""

from __future__ import annotations

import pytest

from slurmkit.check.script.launches import Launch, launches
from slurmkit.check.script.read import Script, read
from slurmkit.check.script.shell import Command


def _read(text: str) -> Script:
    return read(f"#!/bin/bash\n{text}\n".encode())


def _launch(text: str) -> Launch:
    (found,) = launches(_read(text))
    return found


def _named(script: Script, name: str) -> Command:
    return next(command for command in script.commands if command.name == name)


@pytest.mark.parametrize(
    "text",
    [
        "srun torchrun --nnodes 2 train.py --lr 1",
        "srun \\\n  torchrun \\\n  --nnodes 2 \\\n  train.py --lr 1",
        "srun torchrun --nnodes 2 `# as many as there are` \\\n  train.py --lr 1",
        'A=(--nnodes 2 # a comment\n  train.py\n)\nsrun torchrun "${A[@]}" --lr 1',
        "if true; then\n  srun torchrun --nnodes 2 train.py --lr 1\nfi",
        "case $1 in\n  train) srun torchrun --nnodes 2 train.py --lr 1 ;;\nesac",
        "for i in 1; do srun torchrun --nnodes 2 train.py --lr 1; done | tee log",
        "until srun torchrun --nnodes 2 train.py --lr 1; do sleep 1; done",
        "go() { srun torchrun --nnodes 2 train.py --lr 1; }\ngo",
        "function go { srun torchrun --nnodes 2 train.py --lr 1; }\ngo",
        "( cd x && srun torchrun --nnodes 2 train.py --lr 1 )",
        "{ srun torchrun --nnodes 2 train.py --lr 1; } 2>&1 | tee log",
        "! srun torchrun --nnodes 2 train.py --lr 1",
        "time srun torchrun --nnodes 2 train.py --lr 1 > >(tee out) 2> >(tee err >&2)",
        "srun torchrun --nnodes 2 train.py --lr 1 &> log &",
        "srun $SRUN_ARGS torchrun --nnodes 2 train.py --lr 1",
        'srun "$@" torchrun --nnodes 2 train.py --lr 1',
        "srun ${X:+--exclusive} -N2 torchrun --nnodes 2 train.py --lr 1",
        "export TOKEN=<your-token>\nsrun torchrun --nnodes 2 train.py --lr 1",
        "cd <path to code>\n{% if x %}\nsrun torchrun --nnodes 2 train.py --lr 1\n{% endif %}",
        "srun $(which torchrun) --nnodes 2 train.py --lr 1",
    ],
)
def test_a_launch_is_found_in_any_dress(text: str) -> None:
    launch = _launch(text)
    assert launch.kind == "torchrun"
    assert launch.through == "srun"
    assert launch.number("nnodes") == 2
    assert launch.program is not None
    assert launch.program.shown == "train.py"
    assert [word.shown for word in launch.arguments] == ["--lr", "1"]


@pytest.mark.parametrize(
    "text",
    [
        "# srun torchrun train.py",
        "cat <<EOF\nsrun torchrun train.py\nEOF",
        "echo 'srun torchrun train.py'",
        "python - <<'EOF'\nprint('srun torchrun train.py')\nEOF",
        "never() { srun torchrun train.py; }",
        "cat > run.sh <<EOF\nsrun torchrun train.py\nEOF",
    ],
)
def test_what_is_not_run_is_no_launch(text: str) -> None:
    assert launches(_read(text)) == []


def test_the_order_is_that_of_execution() -> None:
    script = _read("f() { second; }\nfirst\nf\nthird $(inner)")
    names = [command.name for command in script.commands]
    assert names == ["first", "f", "second", "inner", "third"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("work", False),
        ("work &", True),
        ("for i in 1 2; do work & done", True),
        ("for i in 1 2; do work; done", False),
        ("(a; work) &", True),
        ("{ work; } &", True),
        ("f() { work; }\nf &", True),
        ("a & work", False),
    ],
)
def test_background(text: str, expected: bool) -> None:
    assert _named(_read(text), "work").context.in_background is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if work; then a; fi", True),
        ("while work; do a; done", True),
        ("work || a", True),
        ("! work", True),
        ("work && a || b", True),
        ("work && a", False),
        ("if a; then work; fi", False),
        ("a || work", False),
    ],
)
def test_a_failure_that_is_asked_for(text: str, expected: bool) -> None:
    assert _named(_read(text), "work").context.is_guarded is expected


def test_loops_are_noted_with_what_they_go_over() -> None:
    script = _read('for n in "${nodes[@]}"; do for ((i = 0; i < 4; i++)); do work; done; done')
    outer, inner = _named(script, "work").context.loops
    assert (outer.kind, outer.variable) == ("for", "n")
    assert inner.kind == "c-style"
    assert "i < 4" in inner.header


def test_a_placeholder_stands_as_a_word() -> None:
    launch = _launch("python train.py --data <path to data> --lr 1")
    assert [word.shown for word in launch.arguments] == ["--data", "<path to data>", "--lr", "1"]


@pytest.mark.parametrize(
    "text",
    ["work <in >out", "work < in > out", "work <in 2> out", "work <in>out", "work <in >>out"],
)
def test_a_redirection_is_no_placeholder(text: str) -> None:
    command = _named(_read(text), "work")
    assert [word.shown for word in command.words] == ["work"]
    assert [r.target.shown for r in command.redirects if r.target] == ["in", "out"]
