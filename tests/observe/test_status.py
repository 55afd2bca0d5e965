"""`slurmkit status`, `cancel` and `exec` where there is no Slurm, or one that is slow."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slurmkit.launch.registry import Entry
from slurmkit.launch.remains import record_of, records_of
from slurmkit.observe.status import tasks_in
from slurmkit.observe.times import read_duration, show_duration
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.queue import NoAccountingError, accounted, queued

SLURMKIT = Path(sys.executable).with_name("slurmkit")
RECORDED = Path(__file__).parents[1] / "slurm_language" / "recorded"
HEADER = ["NODES", "ELAPSED", "LEFT", "RESTARTS", "WHY"]
JOB = """\
name: pretended
resources: {nodes: 2, processes_per_node: 1, cpus_per_node: 1, time: 5}
launcher: {kind: srun}
entrypoint: {command: [bash, -c, "echo hello; sleep $RANK; exit $RANK"]}
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with an own list of jobs, and no command of Slurm's."""
    programs = tmp_path / "programs"
    programs.mkdir()
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PATH": str(programs)}


def write_program(environment: dict[str, str], name: str, script: str) -> None:
    path = Path(environment["PATH"]) / name
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    path.chmod(0o755)


def kit(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SLURMKIT, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_simulated_job_is_told_without_slurm(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    env = {**environment, "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        [SLURMKIT, "simulate", "job.yaml"], cwd=tmp_path, env=env, capture_output=True, check=False
    )
    assert ran.returncode == 1, ran.stderr
    table = kit(environment, "status")
    assert table.stderr == "", "no Slurm here is nothing to warn of"
    (row,) = [line for line in table.stdout.splitlines() if "FAILED" in line]
    id = row.split()[0]
    assert row.split()[1:3] == ["pretended", "FAILED"]
    told = kit(environment, "status", "--last")
    assert told.stderr == ""
    for words in ("FAILED", "exit code 1", "node0,node1", "(2 ranks)", "events", "code 1"):
        assert words in told.stdout, told.stdout
    data = json.loads(kit(environment, "status", "pretended", "--json").stdout)
    assert (data["id"], data["via"], data["exit_code"]) == (id, "simulate", 1)
    over = kit(environment, "cancel", "--last")
    assert (over.returncode, "ended already: FAILED" in over.stderr) == (0, True)
    refused = kit(environment, "exec", id, "--", "true")
    assert (refused.returncode, "does not run under Slurm" in refused.stderr) == (1, True)


def test_no_slurm_and_no_jobs(environment: dict[str, str]) -> None:
    told = kit(environment, "status")
    assert (told.returncode, told.stdout) == (1, "")
    assert "squeue cannot be run" in told.stderr
    assert "a machine of the cluster" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_slow_cluster_is_told_in_words(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(environment, "squeue", "exec sleep 30")
    monkeypatch.setenv("PATH", environment["PATH"])
    start = time.monotonic()
    with pytest.raises(SlurmError, match=r"squeue gave no answer within 0.5 s\n.*scontrol ping"):
        queued(["1"], patience=0.5)
    assert time.monotonic() - start < 20


def test_no_accounting_is_no_mere_failure(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", environment["PATH"])
    with pytest.raises(NoAccountingError):
        accounted(["1"])
    write_program(environment, "sacct", "echo Slurm accounting storage is disabled >&2; exit 1")
    with pytest.raises(NoAccountingError):
        accounted(["1"])
    write_program(environment, "sacct", "echo 'sacct: error: no permission' >&2; exit 1")
    with pytest.raises(SlurmError, match="no permission") as caught:
        accounted(["1"])
    assert not isinstance(caught.value, NoAccountingError)


def test_the_whole_table(environment: dict[str, str]) -> None:
    write_program(environment, "squeue", f"exec cat {RECORDED}/squeue-22.05.txt")
    write_program(environment, "sacct", f"exec cat {RECORDED}/sacct-22.05.txt")
    rows = kit(environment, "status").stdout.splitlines()
    assert rows[0].split() == ["JOB", "NAME", "STATE", *HEADER]
    shown = {row.split()[0]: " ".join(row.split()[1:]) for row in rows[1:]}
    assert len(shown) == 12, "an array is one row"
    assert shown["2"] == "sweep RUNNING 1 0:09 9:51 1 COMPLETED, 1 FAILED, 2 PENDING, 2 RUNNING"
    assert shown["4"].endswith("ended by SIGKILL (often for want of memory)")
    assert shown["9"].startswith("requeued PENDING 1 1 may not start yet")
    assert shown["10"] == "two lines PENDING 1 held by you"


@pytest.mark.parametrize("words", [["status"], ["status", "1"], ["cancel", "8"], ["exec", "8"]])
def test_nothing_of_weight_is_imported(environment: dict[str, str], words: list[str]) -> None:
    write_program(environment, "squeue", f"exec cat {RECORDED}/squeue-22.05.txt")
    write_program(environment, "sacct", f"exec cat {RECORDED}/sacct-22.05.txt")
    heavy = {"pydantic", "yaml", "jinja2", "rich", "submitit", "torch"}
    program = (
        "import sys\nfrom slurmkit.cli import main\n"
        "try: main()\nfinally: print(*sorted({*sys.modules} & "
        + repr(heavy)
        + "), file=sys.stderr)"
    )
    more = ["--", "true"] if words[0] == "exec" else []
    ran = subprocess.run(
        [sys.executable, "-c", program, *words, *more],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in ran.stderr
    assert ran.stderr.splitlines()[-1] == "", ran.stderr


def test_watching_ends_quietly_at_ctrl_c(environment: dict[str, str]) -> None:
    write_program(environment, "squeue", f"exec cat {RECORDED}/squeue-22.05.txt")
    write_program(environment, "sacct", f"exec cat {RECORDED}/sacct-22.05.txt")
    for on_terminal in (False, True):
        ours, theirs = pty.openpty() if on_terminal else os.pipe()
        process = subprocess.Popen(
            [SLURMKIT, "status", "--watch", "--every", "2"],
            env={**environment, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(theirs)
        seen = b""
        while b"two lines" not in seen:
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (0, ""), on_terminal
        os.close(ours)


def test_exec_ends_quietly_when_nobody_reads_on(environment: dict[str, str]) -> None:
    write_program(environment, "squeue", f"exec grep '^1 ' {RECORDED}/squeue-22.05.txt")
    write_program(environment, "srun", "while :; do echo 0: x; sleep 0.01; done")
    exec_ = subprocess.Popen(
        [SLURMKIT, "exec", "1", "--", "true"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert exec_.stdout is not None
    assert exec_.stderr is not None
    assert exec_.stdout.readline() == b"node1: x\n"
    exec_.stdout.close()
    assert exec_.stderr.read() == b""
    assert exec_.wait(timeout=10) != 0


def test_a_script_that_was_ended_without_a_word(tmp_path: Path) -> None:
    events = tmp_path / "runs" / "a" / "7" / "events"
    events.mkdir(parents=True)
    entry = Entry("7", "a", str(events.parent))
    assert record_of(entry) is None
    lines = ['{"time": 100, "event": "started"}', '{"time": 160, "event": "requeued"}']
    lines += ['{"time": 200, "event": "started"}', '{"time": 265, "event": "ended", "code": 0}']
    (events / "batch.jsonl").write_text("\n".join(lines[:3]) + "\n")
    record = record_of(entry)
    assert record is not None
    assert (record.state.name, record.restarts, record.exit_code) == ("FAILED", 1, None)
    assert "cancelled, out of time" in record.reason.words
    (events / "batch.jsonl").write_text("\n".join(lines) + "\n")
    (record,) = records_of(entry)
    assert (record.state.name, record.elapsed) == ("COMPLETED", "0:01:05")
    assert record.reason.is_none


def test_an_array_is_told_from_its_tasks(tmp_path: Path) -> None:
    for task, code in (("7_0", 0), ("7_10", 1)):
        events = tmp_path / "runs" / "a" / task / "events"
        events.mkdir(parents=True)
        (events / "batch.jsonl").write_text(f'{{"time": 1, "event": "ended", "code": {code}}}\n')
    records = records_of(Entry("7", "a", str(tmp_path / "runs" / "a" / "7")))
    assert [(r.id, r.state.name) for r in records] == [("7_0", "COMPLETED"), ("7_10", "FAILED")]


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("0:00", 0, "0:00"),
        ("3:04", 184, "3:04"),
        ("02:03:04", 7384, "2:03:04"),
        ("1-02:03:04", 93784, "1-02:03:04"),
        ("UNLIMITED", None, "unlimited"),
        ("Partition_Limit", None, "partition_limit"),
        ("", None, ""),
    ],
)
def test_durations(text: str, seconds: int | None, shown: str) -> None:
    assert read_duration(text) == seconds
    assert show_duration(text) == shown


def test_how_many_tasks_wait() -> None:
    assert tasks_in("7_3") == tasks_in("7") == 1
    assert tasks_in("7_[0-3,9%2]") == 5
    assert tasks_in("7_[0-99:10]") == 10
    assert tasks_in("7_[0,2,4...]") == 3
