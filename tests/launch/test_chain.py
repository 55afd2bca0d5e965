"""Pipelines: all jobs of a chain or none, each after the one before."""

from __future__ import annotations

import pytest

from slurmkit.launch.chain import after, submit_chain
from slurmkit.launch.registry import Entry
from slurmkit.slurm.commands import SlurmError
from tests.launch.test_sbatch import job


def test_a_chain_adds_to_what_a_job_depends_on() -> None:
    spec = after(job(depends_on={"afterok": ["1"], "afterany": ["2"]}), "3")
    assert spec.depends_on == {"afterok": ["1", "3"], "afterany": ["2"]}
    assert spec.sbatch["kill-on-invalid-dep"] == "yes"
    assert after(job(sbatch={"kill-on-invalid-dep": "no"}), "3").sbatch == {
        "kill-on-invalid-dep": "no"
    }


class Slurm:
    """Remembers what was done to jobs, and leaves job 1 alone."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def submit(self, name: str, before: str | None, held: bool) -> Entry:
        if name == "wrong":
            raise SlurmError("refused")
        self.done.append(f"{name} after {before}{', held' if held else ''}")
        return Entry(str(len(self.done)), name, "")

    def cancel(self, entry: Entry) -> None:
        if entry.id == "1":
            raise SlurmError("the controller is away")

    def release(self, entry: Entry) -> None:
        self.done.append(f"release {entry.id}")


def test_a_chain_is_let_go_when_it_is_whole() -> None:
    slurm = Slurm()
    submit_chain("ab", slurm.submit, slurm, print)
    assert slurm.done == ["a after None, held", "b after 1", "release 1"]
    slurm = Slurm()
    submit_chain("ab", slurm.submit, slurm, print, hold=True)
    assert slurm.done == ["a after None, held", "b after 1"]
    slurm = Slurm()
    submit_chain("a", slurm.submit, slurm, print)
    assert slurm.done == ["a after None"]


def test_a_chain_that_cannot_be_taken_back_is_named() -> None:
    told: list[str] = []
    slurm = Slurm()
    with pytest.raises(SlurmError, match="refused"):
        submit_chain(["a", "b", "wrong"], slurm.submit, slurm, told.append)
    assert told[0].startswith("job 2 (b) was cancelled")
    assert told[1] == "job 1 (a) is still in the queue: slurmkit cancel 1"
