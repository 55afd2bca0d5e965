"""The list of jobs: which job is the last one, and which an id stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurmkit.launch.registry import (
    Entry,
    UnknownJobError,
    entries,
    find,
    last,
    remember,
    whole_jobs,
)


@pytest.fixture(autouse=True)
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def heard_of(id: str, name: str, where: str = "/w", cluster: str = "") -> None:
    remember(Entry(id, name, f"{where}/runs/{name}/{id}", cluster))


def test_the_last_job_is_the_one_submitted_last_not_the_one_started_last() -> None:
    heard_of("7", "waits")
    heard_of("8", "second")
    heard_of("7", "waits", cluster="bed")  # a script appends a line when it starts
    assert last().id == "8"
    assert find("7").cluster == "bed", "the last word on a job counts"


def test_of_an_array_its_tasks_do_not_count() -> None:
    heard_of("7", "array")
    heard_of("8", "second")
    for task in range(3):
        heard_of(f"7_{task}", "array", cluster="bed")
    assert last().id == "8"
    assert [entry.id for entry in whole_jobs()] == ["7", "8"]
    assert whole_jobs()[0].directory == "/w/runs/array/7"


def test_a_task_of_an_array_by_its_name() -> None:
    heard_of("7", "rates")
    heard_of("7_0", "rates", cluster="bed")
    assert find("rates_0") == Entry("7_0", "rates", "/w/runs/rates/7_0", "bed")
    assert find("rates_12") == Entry("7_12", "rates", "/w/runs/rates/7_12", "bed"), "it waits still"
    heard_of("8", "rates_12")
    assert find("rates_12").id == "8", "a job of this very name goes first"
    with pytest.raises(UnknownJobError, match="no job named 'rate_1'"):
        find("rate_1")
    heard_of("9", "rates")
    with pytest.raises(UnknownJobError, match="2 jobs are named 'rates'"):
        find("rates_1")
    assert find("rates_1", is_live=lambda ids: {"9"}).id == "9_1"


def test_an_id_that_slurm_gives_again_is_another_job() -> None:
    heard_of("7", "old")
    heard_of("7_0", "old")
    heard_of("8", "second")
    heard_of("7", "new")
    assert last().name == "new"
    assert [entry.id for entry in entries()] == ["7_0", "8", "7"]
