"""The checks before the launch, and alone, over pretend nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SLURMKIT = Path(sys.executable).with_name("slurmkit")
JOB = """
name: checked
resources: {nodes: 3, gpus_per_node: 2, cpus_per_node: 2}
environment: {network_interface: ib0}
container: {runtime: pyxis, image: ./none.sqsh}
requeue: {}
entrypoint: {command: [bash, -c, 'echo rank $RANK trains']}
launcher: {kind: srun}
"""


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURMKIT_PROFILE", "none")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    Path("data").mkdir()
    Path("data/part").write_text("x")


def slurmkit(preflight: str, *words: str) -> subprocess.CompletedProcess[str]:
    Path("job.yaml").write_text(f"{JOB}preflight: {preflight}\n")
    command = [str(SLURMKIT), words[0], "job.yaml", *words[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


CHEAP = "checks: [hosts, network, data, gpus, storage, entrypoint], free_space: 1M"


def test_the_checks_run_before_the_launch() -> None:
    ran = slurmkit(f"{{{CHEAP}, data: [./data]}}", "simulate")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    head, *rows = ran.stdout.splitlines()
    assert head.split()[:2] == ["NODE", "NAMES"]
    assert [row.split()[0] for row in rows[:3]] == ["node0", "node1", "node2"]
    assert ran.stdout.index("3 nodes are fine") < ran.stdout.index("trains")
    assert "simulate:   GPUs a node: 2 -> none" in ran.stderr
    assert "simulate:   network interface: ib0 -> lo" in ran.stderr


def test_what_fails_keeps_the_job_from_training_and_status_says_why() -> None:
    ran = slurmkit(f"{{{CHEAP}, data: [./nowhere]}}", "simulate")
    assert ran.returncode == 1
    assert "trains" not in ran.stdout
    (run,) = Path("runs/checked").glob("[0-9]*")
    reason = json.loads((run / "status.json").read_text())["reason"]
    assert reason.startswith("preflight: ")
    assert "data-missing" in reason
    events = [json.loads(line)["event"] for line in (run / "events/batch.jsonl").open()]
    assert events == ["preflight", "ended"], "and no requeue"
    told = slurmkit("[]", "simulate", "--nodes", "1")
    assert told.returncode == 0
    ran = subprocess.run(
        [SLURMKIT, "status", run.name], capture_output=True, text=True, check=False
    )
    assert f"failed     {reason[:60]}" in ran.stdout


def test_a_warning_lets_it_train() -> None:
    ran = slurmkit("{checks: [data], data: [./nowhere], on_failure: warn}", "simulate")
    assert ran.returncode == 0, ran.stderr
    assert "preflight.on_failure is warn, and the job starts" in ran.stderr
    assert "trains" in ran.stdout
    assert not list(Path("runs").glob("*/*/status.json"))


def test_alone() -> None:
    ran = slurmkit("{data: [./data]}", "preflight", "--simulate", "--only", "hosts,data", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["ok"]
    assert list(told["checks"]["node1"]) == ["names", "clock", "data"]
    assert not list(Path("runs").glob("*/*/logs/*")), "nothing was launched"
    ran = slurmkit("{checks: [data], data: [./nowhere]}", "preflight", "--simulate")
    assert ran.returncode == 1
    assert "[data-missing]" in ran.stdout
