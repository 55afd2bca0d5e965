"""Sweeps as job arrays of a real Slurm: a point that is requeued, one that is run again, 1,000."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.slurm import programs
from tests.slurm.test_end_to_end import log_of, submit, work
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import FINAL, SlurmCluster

__all__ = ["work"]

PROGRAM = """
import os, pathlib, signal, sys, time
def save(*_):
    pathlib.Path(os.environ["SLURMKIT_RUN_DIR"], "status.json").write_text('{"state": "stopped"}')
    print("saved", flush=True)
    os._exit(0)
signal.signal(signal.SIGUSR1, save)
config = pathlib.Path(sys.argv[-1]).read_text().strip()
known = {name.split("_", 1)[1]: value for name, value in os.environ.items() if "SLURM" in name}
attempt, restarts = known["ATTEMPT"], known.get("RESTART_COUNT", "0")
print(config, os.environ["SEED"], "attempt", attempt, "restarts", restarts)
print("port", os.environ["MASTER_PORT"])
if "ARRAY_JOB_ID" in known:
    task, count = known["ARRAY_TASK_ID"], known["ARRAY_TASK_COUNT"]
    print("task", task, "of", count, "in", known["ARRAY_JOB_ID"])
if [config, os.environ["SEED"], attempt] == ["rate: 0.2", "b", "0"]:
    print("waiting", flush=True)
    time.sleep(100)
"""


def sweep_job(work: Path) -> Path:
    """Write a sweep of four points on two nodes each, whose last one waits to be told to save."""
    script = programs.write(work, "program.py", PROGRAM)
    path = work / "sweep.yaml"
    path.write_text(
        f"""
name: swept
resources: {{nodes: 2, cpus_per_node: 1, time: 5}}
launcher: {{kind: srun}}
environment: {{variables: {{SEED: a}}}}
entrypoint: {{script: {script}, config: {{rate: 1}}}}
requeue: {{lead_time: 60}}
sweep:
  entrypoint.config.rate: [1e-5, 0.2]
  environment.variables.SEED: [a, b]
sweep_limit: 3
""",
        encoding="utf-8",
    )
    return path


def test_a_point_is_requeued_alone_and_run_again_by_itself(slurm: SlurmCluster, work: Path) -> None:
    array = submit(slurm, work, sweep_job(work), wait=False)
    last = f"{array}_3"
    poll(slurm, lambda: log_of(work, last).count("waiting") == 2, "last point that waits")
    for number in range(3):
        slurm.wait(f"{array}_{number}", "COMPLETED", timeout=60)
    # What --signal=B:USR1@60 makes Slurm do.
    slurm.run(["scancel", "--batch", "--signal=USR1", last])
    poll(slurm, lambda: "attempt 1" in log_of(work, last), "second run", timeout=150)
    slurm.wait(last, "COMPLETED", timeout=60)

    ports = set()
    for number, (rate, seed) in enumerate([("1.0e-05", "a"), ("1.0e-05", "b"), ("0.2", "a")]):
        log = log_of(work, f"{array}_{number}")
        assert log.count(f"rate: {rate} {seed} attempt 0 restarts 0") == 2, log
        assert log.count(f"task {number} of 4 in {array}") == 2, log
        ports |= set(re.findall(r" port (\d+)", log))
    log = log_of(work, last)
    assert log.count("saved") == 2, log
    assert log.count("rate: 0.2 b attempt 1 restarts 1") == 2, log
    ports |= set(re.findall(r" port (\d+)", log))
    assert len(ports) == 5, "each point, and each attempt, has a port of its own"

    runs = work / "runs" / "swept"
    assert {path.name for path in runs.iterdir()} == {array, *(f"{array}_{n}" for n in range(4))}
    assert [path.name for path in (runs / array).iterdir()] == ["sweep.tsv"]
    rows = [line.split("\t") for line in (runs / array / "sweep.tsv").read_text().splitlines()]
    assert rows[0] == ["task", "entrypoint.config.rate", "environment.variables.SEED"]
    assert rows[4] == ["3", "0.2", '"b"']
    events = [json.loads(line) for line in (runs / last / "events" / "batch.jsonl").open()]
    told = [(event["event"], event["attempt"]) for event in events]
    assert told == [
        ("started", 0), ("signalled", 0), ("ended", 0), ("requeued", 0), ("started", 1),
        ("ended", 1),
    ]  # fmt: skip
    own = yaml.safe_load((runs / last / "job.yaml").read_text())
    assert own["entrypoint"]["config"] == {"rate": 0.2}
    assert own["environment"]["variables"] == {"SEED": "b"}
    assert "sweep" not in own

    again = submit(slurm, work, runs / f"{array}_1" / "job.yaml")
    assert log_of(work, again).count("rate: 1.0e-05 b attempt 0") == 2, log_of(work, again)
    one = submit(slurm, work, work / "sweep.yaml", "--point", "2")
    assert log_of(work, one).count("rate: 0.2 a attempt 0") == 2, log_of(work, one)
    assert (runs / one / "job.yaml").exists()


def test_a_thousand_points_in_one_call(slurm: SlurmCluster, work: Path) -> None:
    path = work / "job.yaml"
    rates = ", ".join(str(number / 1000) for number in range(1000))
    path.write_text(
        "name: thousand\nresources: {time: 1, cpus_per_node: 1}\nlauncher: {kind: srun}\n"
        "sbatch: {hold: true}\n"
        "entrypoint: {module: m, config: {rate: 0}}\n"
        f"sweep: {{entrypoint.config.rate: [{rates}]}}\nsweep_limit: 8\n",
        encoding="utf-8",
    )
    array = submit(slurm, work, path, wait=False)
    try:
        tasks = slurm.run(["squeue", "-h", "-r", "-j", array, "-o", "%K"]).stdout.split()
        assert sorted(map(int, tasks)) == list(range(1000))
        # The task with the last values, and that whose job id is the array's own.
        slurm.run(["scontrol", "release", f"{array}_999"])
        slurm.wait(f"{array}_999", FINAL, timeout=60)
    finally:
        slurm.run(["scancel", array])
    config = work / "runs" / "thousand" / f"{array}_999" / "config.yaml"
    assert yaml.safe_load(config.read_text()) == {"rate": 0.999}
    table = work / "runs" / "thousand" / array / "sweep.tsv"
    assert len(table.read_text().splitlines()) == 1001


def test_more_points_than_the_site_takes_are_warned_of(slurm: SlurmCluster, work: Path) -> None:
    path = work / "job.yaml"
    values = ", ".join(map(str, range(1002)))
    path.write_text(
        "name: x\nentrypoint: {module: m, config: {n: 0}}\n"
        f"sweep: {{entrypoint.config.n: [{values}]}}\n"
    )
    with pytest.raises(AssertionError, match="MaxArraySize"):
        submit(slurm, work, path)
