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


TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 5, in <module>
    splits["train"]
KeyError: 'train'
"""
ABORT = """terminate called without an active exception
[rank1]:[W1121 08:15:31.2 ProcessGroup.cpp:1] Warning: destroy_process_group() was not called
"""


def led(rank: int, text: str) -> str:
    """Write what a rank wrote as it stands in the job's output."""
    return "".join(f"[rank{rank}] {line}\n" for line in text.splitlines())


@pytest.mark.parametrize("lead", ["", "[rank1]: "])
def test_the_exception_and_not_what_torch_says_while_it_aborts(
    run: RunDirectory, lead: str
) -> None:
    log = run.logs / "node1.rank1.log"
    raised = "".join(f"{lead}{line}\n" for line in TRACEBACK.splitlines())
    log.write_text(f"step 1\n{raised}{ABORT}")
    run.output.write_text(MEET + led(1, raised + ABORT) + cause(1, "node1", -6, 30))
    found = first_failure(run)
    assert found
    assert found.text == "rank 1 on node1 (signal 6)"
    assert found.last_words()[-1] == "KeyError: 'train'"
    assert found.last_words()[0] == "step 1"

    run.output.write_text(MEET + led(1, raised) + MEET + led(1, ABORT) + cause(1, "node1", -6, 30))
    again = first_failure(run)
    assert again
    assert again.last_words()[-1].startswith("[rank1]:[W"), "the exception is of the attempt before"

    run.output.write_text(MEET + led(1, raised + ABORT) + cause(1, "node1", -9, 30))
    killed = first_failure(run)
    assert killed
    assert killed.last_words()[-1].startswith("[rank1]:[W"), "no exception sends SIGKILL"


def test_of_ranks_with_tracebacks_the_first_one_raised_first(run: RunDirectory) -> None:
    lost = TRACEBACK.replace("KeyError: 'train'", "RuntimeError: Connection closed by peer")
    said = led(3, TRACEBACK) + led(0, lost)
    # rank 3 took a second longer to be gone than rank 0, which had lost it
    run.output.write_text(MEET + said + cause(0, "node1", 1, 30) + cause(3, "node2", 1, 31))
    found = first_failure(run)
    assert found
    assert found.rank == 3

    of_one_agent = cause(3, "node2", 1, 30).replace("Root Cause (first observed failure)", "")
    run.output.write_text(MEET + said + of_one_agent + cause(2, "node2", -6, 30))
    beside = first_failure(run)
    assert beside
    assert beside.text == "rank 3 on node2 (exit code 1)", "rank 2 aborted, and raised nothing"

    run.output.write_text(MEET + said + cause(1, "node1", -9, 30) + cause(3, "node2", 1, 31))
    killed = first_failure(run)
    assert killed
    assert killed.rank == 1, "one that was killed has no traceback"

    ended = (
        led(2, TRACEBACK + "trying again\n")
        + said
        + cause(2, "node2", -15, 29)
        + cause(3, "node2", 1, 31)
    )
    run.output.write_text(MEET + ended)
    told = first_failure(run)
    assert told
    assert told.rank == 3, "rank 2 went on, until it was told to end"

    # Rank 2 lost rank 3 and aborted at once, and its agent ended rank 3, which was not gone yet.
    of_node2 = cause(3, "node2", -15, 31).replace("Root Cause (first observed failure)", "")
    run.output.write_text(MEET + said + of_node2 + cause(2, "node2", -6, 31))
    beside_it = first_failure(run)
    assert beside_it
    assert beside_it.text == "rank 3 on node2 (ended by SIGTERM)"


def test_a_signal_for_which_there_is_no_handler(run: RunDirectory) -> None:
    run.output.write_text(MEET + cause(1, "node1", -10, 30))
    found = first_failure(run)
    assert found
    assert found.text == "rank 1 on node1 (signal USR1, for which it has no handler)"
    run.output.write_text(MEET + "srun: error: node2: task 2: User defined signal 1\n")
    by_srun = first_failure(run)
    assert by_srun
    assert by_srun.text == "rank 2 on node2 (signal USR1, for which it has no handler)"


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
