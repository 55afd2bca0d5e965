"""What is chosen of a job's logs, and how it looks on a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from slurmkit.launch.registry import Entry
from slurmkit.observe import logs
from slurmkit.observe.logs.text import for_terminal

SLURMKIT = Path(sys.executable).with_name("slurmkit")


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    """Return a job of two nodes and four ranks, which has ended."""
    run = tmp_path / "runs" / "name" / "7"
    (run / "logs").mkdir(parents=True)
    for rank in range(4):
        lines = [f"2026-11-21 08:00:{10 * second + rank:02} {rank}\n" for second in range(3)]
        path = run / "logs" / f"node{rank // 2}.rank{rank}.log"
        path.write_text("".join(lines) + "no newline")
    (tmp_path / "slurmkit-7.out").write_text("begin\n[rank1] 2026-11-21 08:00:01 1\nmiddle\n")
    entry = Entry("7", "name", str(run))
    state = tmp_path / "slurmkit"
    state.mkdir()
    row = {"id": "7", "name": "name", "directory": str(run)}
    (state / "jobs.jsonl").write_text(json.dumps(row) + "\n")
    return entry


def shown(entry: Entry, view: logs.View) -> list[str]:
    return list(logs.lines(entry, view))


def test_by_default_the_script_and_rank_0(entry: Entry) -> None:
    lines = shown(entry, logs.View())
    assert lines[:3] == [
        "script      | begin",
        "node0 rank0 | 2026-11-21 08:00:00 0",
        "script      | middle",
    ]
    assert len(lines) == 6


def test_all(entry: Entry) -> None:
    lines = shown(entry, logs.View(everything=True))
    assert len(lines) == 4 * 4 + 2
    stamps = [line.split(" | ")[1] for line in lines if "2026" in line]
    assert stamps == sorted(stamps)


def test_what_ranks_wrote_is_none_of_the_scripts_on_hosts_and_pretend_nodes(entry: Entry) -> None:
    output = Path(entry.directory).parents[2] / "slurmkit-7.out"
    output.write_text("begin\nnode0 | [rank0] 2026-11-21 08:00:00 0\nnode10 | agent\na | b\n")
    own = [line for line in shown(entry, logs.View(everything=True)) if line.startswith("script")]
    assert [line.split(" | ", 1)[1] for line in own] == ["begin", "node10 | agent", "a | b"]


@pytest.mark.parametrize(
    ("view", "ranks"),
    [
        (logs.View(ranks=logs.read_ranks("1-2")), {1, 2}),
        (logs.View(ranks=logs.read_ranks("0,3")), {0, 3}),
        (logs.View(node="node1"), {2, 3}),
        (logs.View(node="node1", ranks=logs.read_ranks("0-2")), {2}),
        (logs.View(ranks=logs.read_ranks("9")), set()),
    ],
)
def test_some_ranks(entry: Entry, view: logs.View, ranks: set[int]) -> None:
    lines = shown(entry, view)
    assert {int(line[-1]) for line in lines if "2026" in line} == ranks
    assert all((" | " in line) == (len(ranks) > 1) for line in lines)


@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_the_last_lines_are_the_end_of_all_lines(entry: Entry, count: int) -> None:
    for view in ({"everything": True}, {"everything": True, "grep": logs.read_grep("08:00:[12]")}):
        everything = shown(entry, logs.View(**view))
        last = shown(entry, logs.View(**view, lines=count))
        assert last == everything[len(everything) - min(count, len(everything)) :]


def test_the_last_lines_of_a_large_file(entry: Entry) -> None:
    path = Path(entry.directory) / "logs" / "node0.rank0.log"
    lines = [
        f"2026-11-21 08:{n // 60 % 60:02}:{n % 60:02} line {n} {'x' * 200}" for n in range(3000)
    ]
    path.write_text("\n".join(lines) + "\n")
    for count in (1, 10, 1000):
        view = logs.View(ranks=logs.read_ranks("0"), lines=count)
        assert shown(entry, view) == lines[-count:]


def test_the_last_lines_of_each_array_task(entry: Entry) -> None:
    for task in (0, 1, 10):
        path = Path(f"{entry.directory}_{task}") / "logs" / "node1.rank0.log"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"2026-11-21 08:00:{n:02} of {task}\n" for n in range(5)))
    lines = shown(entry, logs.View(lines=2))
    assert [line.partition(" ")[0] for line in lines] == ["7_0", "7_0", "7_1", "7_1", *2 * ["7_10"]]
    assert [line[-7:] for line in lines] == [
        f"0{n} of {t}"[-7:] for t in (0, 1, 10) for n in (3, 4)
    ]


def test_remarks_can_be_copied_and_the_cause_comes_last(entry: Entry) -> None:
    output = Path(entry.directory).parents[2] / "slurmkit-7.out"
    output.write_text("srun: error: node1: task 3: Exited with exit code 1\n")
    raised = "Traceback (most recent call last):\n  File x\nKeyError: 'train'\nabort\n"
    (Path(entry.directory) / "logs" / "node1.rank3.log").write_text(raised)
    assert list(logs.hints(entry, logs.View(), shown=True)) == [
        "not shown: 3 more ranks; see them with slurmkit logs 7 --all",
        "all of its log: slurmkit logs 7 --rank 3",
        "first to fail: rank 3 on node1 (exit code 1): KeyError: 'train'",
    ]
    output.write_text("srun: error: node0: task 0: Exited with exit code 1\n")
    *_, last = logs.hints(entry, logs.View(), shown=True)
    assert last == "first to fail: rank 0 on node0 (exit code 1): no newline"


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1,,2", "3;4"])
def test_no_ranks(text: str) -> None:
    with pytest.raises(ValueError, match="no list of ranks"):
        logs.read_ranks(text)


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (b"plain \xff \xc3\xa9 \xe2\x80\xa6\t", b"plain \xff \xc3\xa9 \xe2\x80\xa6\t"),
        (b"\x1b[31mred", b"\x1b[31mred\x1b[0m"),
        (b"\x1b[2J\x1b[1;1Hgone", b"gone"),
        (b"\x1b]0;title\x07text", b"text"),
        (b"\x1b]52;c;cm0gLXJm\x1b\\text", b"text"),
        (b"bell\x07\x08\r", b"bell"),
        (b"\xc2\x9b31mtext", b"31mtext"),
        (b"\x1bcreset\x1b", b"reset"),
        (b"\x1bP1;2qsixel", b""),
    ],
)
def test_what_a_terminal_is_spared(written: bytes, seen: bytes) -> None:
    assert for_terminal(written) == seen


def test_a_pipe_gets_the_bytes_and_a_terminal_colours(entry: Entry, tmp_path: Path) -> None:
    path = Path(entry.directory) / "logs" / "node0.rank0.log"
    path.write_bytes(b"\x1b[2Jtext \xff\n")
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    env.pop("NO_COLOR", None)
    piped = subprocess.run([SLURMKIT, "logs", "name"], env=env, capture_output=True, check=True)
    assert b"node0 rank0 | \x1b[2Jtext \xff\n" in piped.stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen([SLURMKIT, "logs", "7"], env=env, stdout=theirs) as process:
        os.close(theirs)
        shown = os.read(ours, 10_000)
        assert process.wait(timeout=30) == 0
    os.close(ours)
    assert b"\x1b[2J" not in shown
    assert b"m" + b"node0 rank0 |\x1b[0m text \xff" in shown
