"""`slurmkit simulate` of a sweep: its points in turn, each as the array task it would be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.simulate.test_command import slurmkit

JOB = """
name: swept
resources: {nodes: 2, time: 10}
launcher: {kind: srun}
environment: {variables: {MODE: none}}
entrypoint: {command: [python3, -c, PROGRAM]}
requeue: {}
sweep: {environment.variables.MODE: [plain, again, broken]}
sweep_limit: 2
"""
PROGRAM = """
import os, pathlib, sys
known = os.environ
names = ["ARRAY_JOB_ID", "ARRAY_TASK_ID", "ARRAY_TASK_COUNT", "ARRAY_TASK_MAX", "JOB_ID"]
print(known["MODE"], known["SLURMKIT_ATTEMPT"], *(known.get("SLURM_" + name) for name in names))
status = pathlib.Path(known["SLURMKIT_RUN_DIR"], "status.json")
if known["MODE"] == "again" and known["SLURMKIT_ATTEMPT"] == "0":
    status.write_text('{"state": "stopped"}')
is_first = known["RANK"] == "0"  # another one that failed would end it before it has spoken
sys.exit(3 if known["MODE"] == "broken" and is_first else 0)
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.replace("PROGRAM", json.dumps(PROGRAM)))
    return path


def test_points_run_in_turn_and_a_failure_ends_no_other(tmp_path: Path, job: Path) -> None:
    done = slurmkit(tmp_path, "simulate", str(job))
    assert done.returncode == 1, done.stderr
    assert "tasks of the array at once: up to 2 -> one after another" in done.stderr
    found = re.fullmatch(
        r"simulate: sweep (\d+): 2 of 3 points COMPLETED; not 2 \(first: FAILED\), "
        r"logs in runs/swept/\1_2/logs",
        done.stderr.splitlines()[-1],
    )
    assert found, done.stderr
    array = found[1]
    lines = re.findall(r"node0 \| \[rank0\] (.*)", done.stdout)
    ids = [line.split()[-1] for line in lines]
    assert [line.rsplit(maxsplit=1)[0] for line in lines] == [
        f"plain 0 {array} 0 3 2",
        f"again 0 {array} 1 3 2",
        f"again 1 {array} 1 3 2",
        f"broken 0 {array} 2 3 2",
    ]
    assert ids[0] == array
    assert ids[1] == ids[2]
    assert len(set(ids)) == 3, "each task has a job id of its own, which it keeps when requeued"
    runs = tmp_path / "runs" / "swept"
    assert {path.name for path in runs.iterdir()} == {array, *(f"{array}_{n}" for n in range(3))}
    jobs = (tmp_path / "state" / "slurmkit" / "jobs.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in jobs] == [
        f"{array}_0", f"{array}_1", f"{array}_1", f"{array}_2",
    ]  # fmt: skip


def test_one_point_is_a_plain_job(tmp_path: Path, job: Path) -> None:
    done = slurmkit(tmp_path, "simulate", str(job), "--point", "0")
    assert done.returncode == 0, done.stderr
    found = re.search(r"run directory runs/swept/(\d+)$", done.stderr)
    assert found
    assert f"[rank0] plain 0 None None None None {found[1]}" in done.stdout
    again = slurmkit(tmp_path, "simulate", f"runs/swept/{found[1]}/job.yaml")
    assert "[rank1] plain 0 None" in again.stdout


def test_a_swept_script_that_is_not_here_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    text = "name: x\nentrypoint: {script: a.py}\nsweep:\n  entrypoint.script: [a.py, b.py]\n"
    done = slurmkit(tmp_path, "simulate", "-", text=text)
    assert done.returncode == 2
    assert "<stdin>:4:29: entrypoint.script: no file" in done.stderr
    assert not (tmp_path / "runs").exists()
