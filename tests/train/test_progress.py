"""Progress: plain lines in a file, a bar on a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
from pathlib import Path

import pytest

from slurmkit.train.progress import Progress, told

ROW = {
    "step": 5,
    "loss": 2.34567,
    "lr": 1e-4,
    "grad_norm": 0.5,
    "tokens_per_second": 12345.6,
    "mfu": 0.41,
    "step_time": 1.5,
}


def test_a_file_gets_plain_lines_with_times() -> None:
    stream = io.StringIO()
    progress = Progress(10, 4, stream)
    progress.say("resumed from step 4")
    progress.step(ROW)
    progress.step({**ROW, "step": 10, "mfu": None, "loss": None})
    progress.close()
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    assert [line[20:].split("  ")[0] for line in lines] == [
        "resumed from step 4",
        "step 5/10",
        "step 10/10",
    ]
    assert (
        "loss 2.3457  lr 1.00e-04  norm 0.500  12,346 tokens/s  MFU 41.0%  1.50 s/step" in lines[1]
    )
    assert lines[2].endswith("norm 0.500  12,346 tokens/s  1.50 s/step  0:00:00 left")
    assert "\x1b" not in stream.getvalue()


def test_the_time_that_is_left_is_that_of_this_run_s_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([100.0, 120.0])
    monkeypatch.setattr("slurmkit.train.progress.time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    Progress(1000, 900, stream).step({**ROW, "step": 910})  # ten steps in 20 s
    assert stream.getvalue().endswith("  0:03:00 left\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody writes any more
        return b""


def test_a_terminal_gets_a_bar_and_lines_above_it() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        progress = Progress(10, 4, stream)
        progress.say("saved [bold]checkpoint-4[/bold]")
        progress.step(ROW)
        progress.close()
    shown = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    assert "saved [bold]checkpoint-4[/bold]" in shown  # literally
    assert re.search(r"5/10.*loss 2.3457  12,346 tokens/s  1.50 s/step", shown)
    assert "left" not in shown


def test_a_full_disk_ends_no_training() -> None:
    with Path("/dev/full").open("w") as stream:
        progress = Progress(10, 0, stream)
        progress.step(ROW)
        progress.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # for Python's own flush


def test_unknown_numbers_are_left_out() -> None:
    assert told({**ROW, "mfu": None, "grad_norm": None}).split("  ")[1:3] == [
        "lr 1.00e-04",
        "12,346 tokens/s",
    ]
