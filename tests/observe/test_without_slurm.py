"""What `status` tells of jobs that Slurm has forgotten, or that it cannot be asked about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLURMKIT = Path(sys.executable).with_name("slurmkit")
AWAY = "echo 'squeue: error: no permission' >&2; exit 1"
NO_ACCOUNTING = "echo Slurm accounting storage is disabled >&2; exit 1"
OF_SACCT = "JobID,JobName,State,ExitCode"


class Site:
    """A directory with runs, a list of jobs, and commands of Slurm's that do as told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "programs").mkdir()
        (path / "state" / "slurmkit").mkdir(parents=True)
        self.says("squeue", "")
        self.says("sacct", NO_ACCOUNTING)

    def says(self, name: str, script: str) -> None:
        program = self.path / "programs" / name
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        program.chmod(0o755)

    def job(self, id: str, *events: dict[str, object], listed: bool = True) -> Path:
        """Make the run directory of a job that began ten seconds ago."""
        run = self.path / "runs" / "a" / id
        (run / "events").mkdir(parents=True)
        lines = [json.dumps({"time": time.time() - 10, **event}) for event in events]
        (run / "events" / "batch.jsonl").write_text("\n".join(lines) + "\n")
        if listed:
            with (self.path / "state" / "slurmkit" / "jobs.jsonl").open("a") as file:
                row = {"id": id, "name": "a", "directory": str(run), "cluster": "bed"}
                file.write(json.dumps(row) + "\n")
        return run

    def kit(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "XDG_STATE_HOME": str(self.path / "state"),
            "PATH": str(self.path / "programs"),
        }
        return subprocess.run(
            [SLURMKIT, *words], env=environment, capture_output=True, text=True, check=False,
            timeout=30,
        )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


STARTED = {"event": "started", "attempt": 0}


def test_a_job_that_may_run_is_not_told_to_have_failed(site: Site) -> None:
    site.job("7", STARTED)
    site.says("squeue", AWAY)
    told = site.kit("status", "7")
    assert "no permission" in told.stderr
    assert "UNKNOWN: Slurm cannot be asked" in told.stdout
    assert "FAILED" not in told.stdout
    assert json.loads(site.kit("status", "7", "--json").stdout)["phase"] == "unknown"
    assert [row.split()[:3] for row in site.kit("status").stdout.splitlines()[1:]] == [
        ["7", "a", "UNKNOWN"]
    ]


def test_a_job_that_slurm_has_forgotten_ended_without_a_word(site: Site) -> None:
    site.job("7", STARTED)
    for words in (["status"], ["status", "7"]):
        told = site.kit(*words).stdout
        assert "FAILED" in told
        assert "cancelled, out of time, or a node died" in told


def test_an_array_that_slurm_has_forgotten_is_told_as_a_whole(site: Site) -> None:
    for task, code in enumerate((0, 3, 0)):
        site.job(f"7_{task}", STARTED, {"event": "ended", "code": code})
    (row,) = site.kit("status").stdout.splitlines()[1:]
    assert row.split()[:3] == ["7", "a", "FAILED"]
    assert "2 COMPLETED, 1 FAILED" in row


def test_the_script_knows_its_code_better_than_sacct(site: Site) -> None:
    run = site.job("7", STARTED, {"event": "ended", "code": 143})
    (run / "logs").mkdir()
    (run / "logs" / "node2.rank1.log").write_text("hello\nboom\n")
    said = "srun: error: node2: task 1: Exited with exit code 7\n"
    (site.path / "slurmkit-7.out").write_text(said)
    rows = (OF_SACCT.split(","), ["7", "a", "FAILED", "15:0"])
    text = "".join("\x1f".join([*row, "\n"]) for row in rows)
    (site.path / "sacct.txt").write_text(text)
    site.says("sacct", f"exec cat {site.path}/sacct.txt")
    told = site.kit("status", "7").stdout
    assert "exit code 143: ended by SIGTERM" in told
    assert "  failed     rank 1 on node2 (exit code 7): boom\n" in told
    assert "(1 rank)" in told
    data = json.loads(site.kit("status", "7", "--json").stdout)
    assert data["exit_code"] == 143
    assert data["first_failure"]["rank"] == 1
    assert data["first_failure"]["ends"] == ["hello", "boom"]


def test_exec_and_logs_take_the_last_job(site: Site) -> None:
    site.job("7", STARTED, {"event": "ended", "code": 0})
    (site.path / "slurmkit-7.out").write_text("the script\n")
    assert site.kit("logs", "--last").stdout == "the script\n"
    told = site.kit("exec", "--last", "hostname", "-f")
    assert (told.returncode, "Slurm knows no job 7" in told.stderr) == (2, True)
    for words in (["exec", "7"], ["exec", "--last"], ["logs", "7", "--last"]):
        assert site.kit(*words).returncode == 2
