"""What `status` tells of jobs that Slurm has forgotten, or that it cannot be asked about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slurmkit import Job, JobFailedError
from slurmkit.launch.registry import Entry
from slurmkit.slurm.records import SEPARATOR, SQUEUE_FORMAT
from slurmkit.slurm.states import read_state

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


def squeue_row(id: str, raw: str, name: str, state: str) -> str:
    known = {"JobArrayID": id, "JobID": raw, "Name": name, "State": state, "NodeList": "node1"}
    fields = [field.partition(":")[0] for field in SQUEUE_FORMAT.split(",")]
    return "".join(f"{known.get(field, '')}{SEPARATOR}" for field in fields) + "\n"


def sacct_row(*cells: str) -> str:
    return SEPARATOR.join([*cells, "\n"])


def test_the_task_that_holds_the_arrays_own_id_is_counted_once(site: Site) -> None:
    """For some seconds sacct has the last task under the array's id alone."""
    tasks = [("7_0", "8"), ("7_1", "9"), ("7_2", "7")]
    (site.path / "q").write_text("".join(squeue_row(*one, "a", "COMPLETED") for one in tasks))
    now = time.strftime("%Y-%m-%dT%H:%M:%S")
    header = ("JobID", "JobIDRaw", "JobName", "State", "End", "NodeList")
    rows = [header, *((id, raw, "a", "COMPLETED", now, "node1") for id, raw in tasks[:2])]
    rows += [("7", "7", "a", "COMPLETED", now, "node1")]
    (site.path / "s").write_text("".join(sacct_row(*row) for row in rows))
    site.says("squeue", f"exec cat {site.path}/q")
    site.says("sacct", f"exec cat {site.path}/s")
    assert "3 COMPLETED" in site.kit("status", "7").stdout
    assert site.kit("status", "7").stdout.startswith("array 7")
    (row,) = site.kit("status").stdout.splitlines()[1:]
    assert "3 COMPLETED" in row


def test_every_job_of_the_last_day_is_shown(site: Site) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S")
    rows = [("JobID", "JobIDRaw", "JobName", "State", "End", "NodeList")]
    rows += [(str(id), str(id), "a", "COMPLETED", now, "node1") for id in range(100, 160)]
    rows += [("99", "99", "old", "COMPLETED", "2020-01-01T00:00:00", "node1")]
    (site.path / "s").write_text("".join(sacct_row(*row) for row in rows))
    day = "case $* in *--user=*--starttime=now-1days*)"
    site.says("sacct", f"{day} exec cat {site.path}/s;; esac")
    for id in range(200, 260):  # those that their run directories tell of
        site.job(str(id), STARTED, {"event": "ended", "code": 0})
    shown = [row.split()[0] for row in site.kit("status").stdout.splitlines()[1:]]
    assert sorted(shown) == [str(id) for id in (*range(100, 160), *range(200, 260))]


def test_slurm_without_a_cluster_is_one_line_for_all_verbs(site: Site) -> None:
    said = "error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host"
    for name in ("squeue", "sacct", "sbatch", "scontrol", "sinfo"):
        last = f"{name}: fatal: Could not establish a configuration source"
        site.says(name, f"echo '{name}: {said}' >&2; echo '{last}' >&2; exit 1")
    (site.path / "job.yaml").write_text(
        "name: a\nresources: {nodes: 1, time: 5}\nentrypoint: {command: [hostname]}\n"
    )
    submit = ["submit", f"{site.path}/job.yaml", "--profile", "none"]
    for words in (["status"], ["status", "7"], submit):
        told = site.kit(*words)
        assert told.returncode == 1
        assert told.stderr.count("no Slurm cluster answers on this machine") == 1, told.stderr
        assert "slurmkit simulate job.yaml" in told.stderr
        assert "resolve_ctls" not in told.stderr


def test_a_launch_that_was_not_started_says_why(site: Site) -> None:
    run = site.job("100000007", listed=False)
    first = "box1 (ssh does not get there)"
    events = [{"event": "submitted"}, {"event": "ended", "state": "FAILED", "first": first}]
    lines = [json.dumps({"time": time.time() - 5, **event}) for event in events]
    (run / "events" / "launch.jsonl").write_text("\n".join(lines) + "\n")
    (run / "events" / "batch.jsonl").unlink()
    row = {"id": "100000007", "name": "a", "directory": str(run), "via": "ssh"}
    (site.path / "state" / "slurmkit" / "jobs.jsonl").write_text(json.dumps(row) + "\n")
    for words in (["status"], ["status", "--last"]):
        assert f"not started: {first}" in site.kit(*words).stdout
    assert "Unknown" not in site.kit("status", "--last").stdout


@pytest.mark.parametrize("count", [3, 60])
def test_a_simulated_sweep_is_one_array(site: Site, count: int) -> None:
    rows = []
    for task in range(count):
        run = site.job(f"7_{task}", STARTED, {"event": "ended", "code": 0}, listed=False)
        (run / "events" / "simulation.jsonl").write_text('{"state": "COMPLETED"}\n')
        row = {"id": run.name, "name": "a", "directory": str(run), "cluster": "simulate"}
        rows.append(json.dumps(row) + "\n")
    (site.path / "state" / "slurmkit" / "jobs.jsonl").write_text("".join(rows))
    points = "".join(f"{task}\t{task}e-4\t32\n" for task in range(count))
    table = site.path / "runs" / "a" / "7" / "sweep.tsv"
    table.parent.mkdir()
    fields = "entrypoint.config.optimizer.lr\tentrypoint.config.batch"
    table.write_text(f"task\t{fields}\n{points}")
    (row_of_array,) = site.kit("status").stdout.splitlines()[1:]
    assert row_of_array.split()[:3] == ["7", "a", "COMPLETED"]
    assert f"{count} COMPLETED" in row_of_array
    told = site.kit("status", "7").stdout
    body = told.partition("\n\n")[2].splitlines()
    if count == 3:
        assert body[0].split()[:4] == ["TASKS", "lr", "batch", "STATE"]
        assert body[3].split()[:4] == ["2", "2e-4", "32", "COMPLETED"]
    else:
        assert "more than 50 points" in body[-1]
        assert len(body) == 4, "neighbours that fare alike are one line"
    tasks = json.loads(site.kit("status", "7", "--json").stdout)["tasks"]
    assert tasks[1]["point"]["entrypoint.config.optimizer.lr"] == "1e-4"


def test_no_such_name_points_to_no_other_verb(site: Site) -> None:
    assert "slurmkit logs" not in site.kit("status", "nosuch").stderr


def test_a_failed_job_points_only_to_logs_that_are_there(site: Site) -> None:
    task = site.job("7_0", STARTED, listed=False)
    (task.with_name("7")).mkdir()  # with the table of the points
    sweep = Job(Entry("7", "a", str(task.with_name("7"))))
    told = str(JobFailedError(sweep, read_state("CANCELLED")))
    assert f"logs: {task.parent}/7_TASK/logs\n    see:  slurmkit logs 7" in told
    never = Job(Entry("8", "a", str(task.with_name("8"))))
    assert str(JobFailedError(never, read_state("CANCELLED"))).count("\n") == 0
