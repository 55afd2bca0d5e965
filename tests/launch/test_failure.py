"""Which rank failed first, read from recorded outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slurmkit.launch.failure import first_failure
from slurmkit.launch.rundir import RunDirectory

MEET = "slurmkit: 2 x 2 processes meet at node1:17001; files in /runs/x/5\n"


def cause(rank: int, host: str, code: int, second: int) -> str:
    """Write the end of a report of torchrun 2.13, one an agent."""
    return f"""
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_08:15:{second:02}
  host      : {host}
  rank      : {rank} (local_rank: {rank % 2})
  exitcode  : {code} (pid: 4711)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
============================================================
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "x" / "5")
    run.logs.mkdir(parents=True)
    for rank in range(4):
        log = run.logs / f"node{rank // 2 + 1}.rank{rank}.log"
        log.write_text(f"rank {rank}\n\nlast words \n")
        os.utime(log, (100 + rank, 100 + rank))
    return run


def test_the_earliest_of_several_reports_that_was_not_ended_by_another(run: RunDirectory) -> None:
    ended_by_srun = cause(0, "node1", -15, 30)
    run.output.write_text(MEET + ended_by_srun + cause(3, "node2", 1, 31))
    found = first_failure(run)
    assert found
    assert (found.rank, found.text) == (3, "rank 3 on node2 (exit code 1)")
    assert found.last_words() == ["rank 3", "last words"]

    run.output.write_text(MEET + cause(3, "node2", 1, 31) + cause(1, "node1", -9, 30))
    again = first_failure(run)
    assert again
    assert again.text == "rank 1 on node1 (signal 9)"

    run.output.write_text(MEET + cause(2, "node2", 1, 31) + cause(0, "node1", 1, 31))
    silent = first_failure(run)  # torchrun counts in seconds: then the one that fell silent first
    assert silent
    assert silent.rank == 0


def test_only_the_last_attempt_counts(run: RunDirectory) -> None:
    task = "srun: error: node2: task 2: Exited with exit code 3\n"
    run.output.write_text(MEET + cause(0, "node1", 1, 1) + MEET + task)
    found = first_failure(run)
    assert found
    assert found.text == "rank 2 on node2 (exit code 3)"
    assert found.log == run.logs / "node2.rank2.log"
    run.output.write_text(MEET + cause(0, "node1", 1, 1) + MEET)
    assert first_failure(run) is None


def test_a_task_that_is_no_rank(run: RunDirectory) -> None:
    run.output.write_text(MEET + "srun: error: node2: task 1: Killed\nsrun: error: x: task 0: y\n")
    found = first_failure(run)
    assert found
    assert (found.rank, found.text, found.log) == (None, "task 1 on node2 (Killed)", None)
    assert found.last_words() == []


def test_tasks_that_were_told_to_end_did_not_fail_first(run: RunDirectory) -> None:
    told = "srun: error: node1: task 0: Terminated\n"
    told += "srun: error: node1: task 1: Exited with exit code 143\n"
    run.output.write_text(MEET + told)
    assert first_failure(run) is None, "the job was cancelled"
    run.output.write_text(MEET + told + "srun: error: node2: task 3: Exited with exit code 1\n")
    found = first_failure(run)
    assert found
    assert found.rank == 3


def test_nothing_is_known(run: RunDirectory) -> None:
    assert first_failure(run) is None
    run.output.write_bytes(
        b"\xff" * 300_000 + b"srun: error: node2: task 3: Exited with exit code 1"
    )
    found = first_failure(run)
    assert found
    assert found.rank == 3, "at the end of a long output"
