"""What squeue and sacct wrote on a real Slurm is read as the jobs that they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmkit.slurm.exit_code import ExitCode
from slurmkit.slurm.records import SEPARATOR, SQUEUE_FORMAT, Record, read_sacct, read_squeue

RECORDED = Path(__file__).parent / "recorded"
FIELDS = [field.split(":") for field in SQUEUE_FORMAT.split(",")]


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def by_id(records: list[Record]) -> dict[str, Record]:
    assert len({record.id for record in records}) == len(records)
    return {record.id: record for record in records}


@pytest.mark.parametrize("version", ["22.05", "24.11"])
def test_squeue(version: str) -> None:
    jobs = by_id(read_squeue(recorded(f"squeue-{version}.txt")))
    assert len(jobs) == 16
    first = jobs["1"]
    assert (first.name, first.nodes, first.node_list) == ("a|b é  c", 2, "node[1-2]")
    assert (first.state.name, first.limit, first.left) == ("RUNNING", "10:00", "9:51")
    assert first.exit_code is None
    assert first.user == "root"
    assert jobs["10"].name == jobs["12"].name == "two\nlines"
    assert str(jobs["3"].exit_code) == "3:0"
    assert jobs["3"].reason.name == "NonZeroExitCode"
    assert str(jobs["4"].exit_code) == "0:9"
    assert jobs["4"].reason.name == "RaisedSignal"
    assert (jobs["8"].state.name, jobs["8"].exit_code) == ("CANCELLED", ExitCode(0, 15))
    assert jobs["8"].left == ""
    assert jobs["9"].restarts == 1
    assert jobs["7"].dependency == "afterok:1(unfulfilled)"
    assert jobs["6"].reason.fix_for("6") == "scontrol release 6"
    assert (jobs["2_0"].raw_id, jobs["2_0"].array_id) == ("13", "2")
    waiting = jobs["2_[4-5%2]"]
    assert (waiting.state.phase, waiting.reason.name) == ("waiting", "JobArrayTaskLimit")


def test_squeue_tells_each_task_of_an_array() -> None:
    jobs = by_id(read_squeue(recorded("squeue-array-22.05.txt")))
    assert sorted(jobs) == [f"2_{task}" for task in range(6)]


def test_a_log_that_cannot_be_opened_in_22_05() -> None:
    job = by_id(read_squeue(recorded("squeue-22.05.txt")))["5"]
    assert job.reason.name == "JobLaunchFailure"
    assert job.exit_code is not None
    assert "could not be opened" in job.exit_code.words


@pytest.mark.parametrize("version", ["22.05", "24.11"])
def test_sacct(version: str) -> None:
    jobs = by_id(read_sacct(recorded(f"sacct-{version}.txt")))
    assert (jobs["1"].name, jobs["1"].elapsed, jobs["1"].ended) == ("a|b é  c", "00:00:09", "")
    assert jobs["8"].state.name == "CANCELLED", "written as CANCELLED by 0"
    assert jobs["12"].name == "two\nlines"
    assert str(jobs["3"].exit_code) == "3:0"
    assert jobs["3"].exit_code is not None
    assert jobs["3"].exit_code.folded
    assert str(jobs["4"].exit_code) == "0:9"
    assert jobs["9"].restarts == 1, "one row a run"
    assert jobs["2_0"].raw_id == "13"
    assert jobs["1"].reason.is_none, "why it waited once is of no interest"


def test_added_and_missing_columns_of_sacct_are_borne() -> None:
    jobs = by_id(read_sacct(recorded("sacct-all-columns-22.05.txt")))
    assert set(jobs) == {"3", "8"}, "steps are passed over"
    assert (jobs["3"].name, jobs["3"].state.name) == ("exit3", "FAILED")
    assert jobs["3"].limit == ""


def test_the_last_of_several_runs_counts() -> None:
    header = SEPARATOR.join(["JobID", "State", "JobName", ""]) + "\n"
    rows = [("7", "REQUEUED", "a"), ("8", "RUNNING", "b"), ("7", "NODE_FAIL", "a")]
    rows += [("7", "CANCELLED by 1000", "a"), ("8", "COMPLETED", "the id is used again")]
    text = header + "".join(SEPARATOR.join([*row, ""]) + "\n" for row in rows)
    jobs = by_id(read_sacct(text))
    assert (jobs["7"].state.name, jobs["7"].restarts) == ("CANCELLED", 2)
    assert (jobs["8"].state.name, jobs["8"].restarts) == ("COMPLETED", 0)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10**9),
            st.text(st.characters(exclude_characters=SEPARATOR, exclude_categories=["Cs"])),
            st.sampled_from(["RUNNING", "PENDING", "FAILED", "BRAND_NEW"]),
            st.text("0123456789:-N/A+.", max_size=12),
        )
    )
)
def test_any_name_and_value_is_read(jobs: list[tuple[int, str, str, str]]) -> None:
    rows = [
        {"JobArrayID": str(id), "JobID": str(id), "Name": name, "State": state}
        | dict.fromkeys(("NumNodes", "RestartCnt", "exit_code", "TimeUsed", "EndTime"), odd)
        for id, name, state, odd in jobs
    ]
    text = "".join(
        "".join(f"{row.get(field, '')} {SEPARATOR}" for field, _ in FIELDS) + "\n" for row in rows
    )
    records = read_squeue(text)
    assert [(record.id, record.name, record.state.name) for record in records] == [
        (str(id), name.strip(), state) for id, name, state, _ in jobs
    ]


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    read_squeue(text)
    read_sacct(text)
