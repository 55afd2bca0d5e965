"""Run directories: attempts that share files, status.json, error files, and what status shows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from slurmkit.check.doctor.diagnose import diagnose
from slurmkit.check.doctor.glance import glance
from slurmkit.check.doctor.sources import logs_of_files
from slurmkit.check.doctor.verdict import Verdict
from slurmkit.launch.registry import Entry
from slurmkit.launch.remains import records_of
from slurmkit.launch.rundir import RunDirectory
from slurmkit.observe.status import Overview, Seen
from slurmkit.observe.status_text import overview_lines

MEETING = "slurmkit: 1 x 2 processes meet at n1:17000; files in runs/a/7\n"
REPORT = """\
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_08:15:52
  host      : n2
  rank      : 5 (local_rank: 1)
  exitcode  : 1 (pid: 9)
  error_file: {}
"""


def traceback(error: str, prefix: str = "") -> str:
    lines = ["Traceback (most recent call last):", '  File "t.py", line 2, in <module>', error]
    return "".join(f"{prefix}{line}\n" for line in lines)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "a" / "7")
    run.logs.mkdir(parents=True)
    run.events.mkdir()
    return run


def write_status(run: RunDirectory, reason: str, state: str = "failed") -> None:
    (run.path / "status.json").write_text(json.dumps({"state": state, "reason": reason}, indent=1))


def seen(run: RunDirectory, state: str = "FAILED") -> Verdict:
    verdict = glance(run, state)
    assert verdict is not None
    return verdict


def begin(run: RunDirectory, *times: float) -> None:
    rows = [json.dumps({"time": time, "event": "started"}) for time in times]
    (run.events / "batch.jsonl").write_text("\n".join(rows) + "\n")


def test_a_job_that_its_preflight_stopped(run: RunDirectory) -> None:
    write_status(run, "preflight: n3: cannot read x.bin [data-missing] (and 1 more)")
    run.output.write_text(MEETING + "[rank0] RuntimeError: of the attempt before\n")
    verdict = seen(run)
    assert (verdict.code, verdict.node, verdict.rank, verdict.confidence) == (
        "D110", "n3", None, "high",
    )  # fmt: skip
    assert "cannot read x.bin" in verdict.lines[0].text
    assert verdict.lines[0].file.endswith("status.json")


@pytest.mark.parametrize(
    ("state", "first", "told"),
    [
        ("TIMEOUT", None, ("D30", None, None)),
        ("NODE_FAIL", None, ("D32", None, None)),
        ("PREEMPTED", None, ("D32", None, None)),
        ("CANCELLED", None, ("D31", None, None)),
        ("FAILED", "rank 2 on node1 (signal 11)", ("D49", 2, "node1")),
        ("FAILED", "rank 2 on node1 (signal 9)", ("D23", 2, "node1")),
        ("FAILED", "task 1 on node1 (signal 6)", ("D49", None, "node1")),
        ("FAILED", "rank 2 on node1 (exit code 7)", ("unknown", 2, "node1")),
        ("FAILED", "rank 2 on node1 (signal 10)", ("D131", 2, "node1")),
        ("FAILED", "rank 2 on node1 (exit code 137)", ("D23", 2, "node1")),
        ("FAILED", "rank 2 on node1 (exit code 139)", ("D49", 2, "node1")),
        ("FAILED", "rank 2 on node1 (signal 15)", ("unknown", 2, "node1")),
    ],
)
def test_a_simulated_job_that_said_nothing(
    run: RunDirectory, state: str, first: str | None, told: tuple[str, int | None, str | None]
) -> None:
    for rank in range(4):
        (run.logs / f"node{rank // 2}.rank{rank}.log").write_text("step 1\n")
    end = {"time": 1, "event": "ended", "state": state, "code": 143, "first": first}
    (run.events / "simulation.jsonl").write_text(json.dumps(end) + "\n")
    verdict = seen(run)  # whose script ended with a code alone
    assert (verdict.code, verdict.rank, verdict.node) == told
    assert verdict.lines[-1].file.endswith("events/simulation.jsonl")
    assert verdict.lines[-1].text == (
        first.replace(" (", ": ").rstrip(")") if first else f"Slurm says {state}"
    )
    assert "{" not in verdict.in_a_line()
    if told[0] == "unknown":
        assert verdict.what.startswith(f"unknown: rank 2 on node1 failed first ({str(first)[17:]}")
        assert verdict.lines[0].file.endswith("node1.rank2.log")


def test_a_programs_own_word_counts_where_its_logs_say_nothing(run: RunDirectory) -> None:
    write_status(run, "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")
    assert (seen(run).code, seen(run).rank) == ("D27", 0)
    run.output.write_text(
        "[rank3] KeyError: 'train'\n" + MEETING + traceback("KeyError: 1", "[rank3] ")
    )
    assert (seen(run).code, seen(run).rank) == ("D50", 3)


def test_a_word_that_names_no_cause_is_shown_all_the_same(run: RunDirectory) -> None:
    write_status(run, "gave up on it")
    assert (seen(run).code, seen(run).lines[-1].text) == ("unknown", "gave up on it")
    write_status(run, "OutOfMemoryError: CUDA out of memory", state="stopped")
    assert seen(run).lines == ()
    assert seen(run).meaning == "It left no logs, or none that can be read."


@pytest.mark.parametrize("has_output", [True, False])
def test_files_of_ranks_hold_all_attempts_and_the_last_one_counts(
    run: RunDirectory, has_output: bool
) -> None:
    old, new = "torch.OutOfMemoryError: CUDA out of memory. Tried to", "KeyError: 'second'"
    begin(run, 100.0, 200.0)
    (run.logs / "n1.rank1.log").write_text(traceback(old) + "step 1\n" + traceback(new))
    silent = run.logs / "n1.rank0.log"
    silent.write_text(traceback(old))
    os.utime(silent, (150, 150))  # it wrote nothing in the second attempt
    if has_output:
        text = MEETING + traceback(old, "[rank1] ") + traceback(old, "[rank0] ")
        run.output.write_text(text + MEETING + traceback(new, "[rank1] "))
    verdict = seen(run)
    assert (verdict.code, verdict.rank) == ("D50", 1)
    assert verdict.lines[0].text.endswith(new)
    begin(run, 100.0)
    if not has_output:
        assert seen(run).code == "D27", "one attempt: the first of its errors"


def test_an_error_file_that_torchrun_names(tmp_path: Path) -> None:
    named = tmp_path / "error.json"
    text = traceback("ZeroDivisionError: division by zero")
    word = {"message": "ZeroDivisionError: division by zero", "extraInfo": {"py_callstack": text}}
    log = tmp_path / "job.out"
    log.write_text(REPORT.format(named))
    missing = diagnose(logs_of_files([log])).verdict
    assert missing is not None
    assert (missing.code, missing.rank) == ("unknown", 5)
    named.write_text(json.dumps({"message": word}))
    verdict = diagnose(logs_of_files([log])).verdict
    assert verdict is not None
    assert (verdict.code, verdict.rank, verdict.node) == ("D50", 5, "n2")
    assert verdict.lines[0].file == str(named)


def test_of_a_long_line_the_part_that_tells(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "junk " * 700 + "CUDA out of memory. Tried to allocate 2 GiB" + " y" * 900 + "\n"
    )
    verdict = diagnose(logs_of_files([log])).verdict
    assert verdict is not None
    assert "CUDA out of memory" in verdict.lines[0].text[:200]
    assert len(verdict.lines[0].text) <= 500


def test_the_table_of_jobs_tells_who_failed_where_no_cause_is_known(run: RunDirectory) -> None:
    run.output.write_text(MEETING + "srun: error: n1: task 2: Exited with exit code 3\n")
    (run.logs / "n1.rank2.log").write_text("step 1\nthe index is empty\n")
    ended = {"time": 100.0, "event": "ended", "code": 143}
    (run.events / "batch.jsonl").write_text(json.dumps(ended) + "\n")
    entry = Entry("7", "a", str(run.path))
    lines = overview_lines(Overview([Seen(records_of(entry)[0], entry)], []))
    assert lines[1].endswith("rank 2 on n1 (exit code 3): the index is empty")


def test_the_table_of_jobs_names_causes_of_a_few(tmp_path: Path) -> None:
    jobs = []
    for number in range(12):
        run = RunDirectory(tmp_path / "runs" / "a" / str(number))
        run.logs.mkdir(parents=True)
        run.events.mkdir()
        (run.logs / "n1.rank2.log").write_text(traceback("KeyError: 'x'"))
        ended = {"time": 100.0 + number, "event": "ended", "code": 1}
        (run.events / "batch.jsonl").write_text(json.dumps(ended) + "\n")
        entry = Entry(str(number), "a", str(run.path))
        jobs.append(Seen(records_of(entry)[0], entry))
    lines = overview_lines(Overview(jobs, []))
    told = [
        line.endswith("D50 the program raised an exception (rank 2 on n1): KeyError: 'x'")
        for line in lines
    ]
    assert told == [False] * 3 + [True] * 10
