"""Jobs from Python, as in a notebook: on a real Slurm, from inside another job, in a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from tests.testbed.cluster import SlurmCluster

JOB = r"""
name: from python
resources: {nodes: 1, processes_per_node: 1, cpus_per_node: 1, memory_per_node: 300M, time: 5}
launcher: {kind: srun}
entrypoint: {command: [bash, rank.sh]}
"""
RANK = r"""
mkdir -p "$SLURMKIT_RUN_DIR/metrics"
echo "rank $RANK of $WORLD_SIZE, tasks $SLURM_NTASKS, per CPU ${SLURM_MEM_PER_CPU:-no}"
if ((RANK == 0)); then
  echo '{"time": 1, "step": 1, "loss": 0.5}' >> "$SLURMKIT_RUN_DIR/metrics/train_log.jsonl"
  echo '{"answer": 42}' > "$SLURMKIT_RUN_DIR/result.json"
fi
sleep ${SLEEP:-0}
"""
AWAY = """#!/bin/bash
if (($(wc -l < asked) < 6)); then
  echo >> asked
  echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2
  exit 1
fi
exec /usr/bin/squeue "$@"
"""
SUBMIT = r"""
import json, os, matplotlib, slurmkit
spec = slurmkit.load("job.yaml", profile="none")
job = spec.replace(resources={"nodes": 2}).submit()
sleeps = spec.replace(environment={"variables": {"SLEEP": 600}}).submit()
swept = spec.replace(environment={"variables": {"SLEEP": 0}}, name="sweep")
sweep = swept.replace({"sweep": {"environment.variables.SLEEP": [0, 1]}}).submit()
os.environ["PATH"] = os.getcwd() + ":" + os.environ["PATH"]  # squeue fails for a moment
matplotlib.use("agg")
found = {"outer": os.environ["SLURM_JOB_ID"], "state": job.wait(60).name, "id": job.id}
found |= {"result": job.result(), "results": job.results(), "logs": str(job.logs(rank=1))}
found |= {"metrics": job.metrics().to_dict("records"), "card": job._repr_html_()}
found |= {"again": slurmkit.Job.from_id(job.id).state().name}
try:
    sleeps.wait(1)
except TimeoutError as error:
    found["late"] = str(error)
sleeps.cancel()
try:
    sleeps.result(60)
except slurmkit.JobFailedError as error:
    found["failed"] = str(error)
found |= {"points": sweep.results(60), "sweep": sweep.metrics().to_dict("list")}
found |= {"of sweep": sweep._repr_html_(), "lines": len(sweep.plot().lines)}
try:
    slurmkit.Job.from_id(999999).wait()
except slurmkit.SlurmError as error:
    found["unknown"] = str(error)
print(json.dumps(found))
"""


@pytest.mark.slurm
def test_from_inside_another_job_while_squeue_fails(slurm: SlurmCluster, tmp_path: Path) -> None:
    files = {"job.yaml": JOB, "rank.sh": RANK, "submit.py": SUBMIT, "squeue": AWAY, "asked": ""}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "squeue").chmod(0o755)
    # As a notebook server in a job has it: tasks, CPUs and memory of the outer job in SLURM_*.
    outer = ["salloc", "-N1", "-n3", "-c2", "--mem-per-cpu=200", "--quiet"]
    ran = slurm.run([*outer, sys.executable, "submit.py"], cwd=tmp_path, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == "", "nothing is shown where there is no terminal"
    found = json.loads(ran.stdout)
    assert len((tmp_path / "asked").read_text()) == 6, "squeue was called, and failed"
    assert found["state"] == found["again"] == "COMPLETED"
    assert found["id"] != found["outer"]
    assert "rank 1 of 2, tasks 2, per CPU no" in found["logs"]
    assert "rank 0" not in found["logs"]
    assert found["result"] == {"answer": 42}
    assert found["results"] == [{"answer": 42}]
    assert found["metrics"] == [{"time": 1, "step": 1, "loss": 0.5}]
    for text in ("COMPLETED", "elapsed", ">0.5<", f"runs/from-python/{found['id']}/logs"):
        assert text in found["card"]
    assert "has not ended after 1 s" in found["late"]
    assert "(from python) is CANCELLED" in found["failed"]
    assert "999999" in found["unknown"]
    assert found["points"] == [{"answer": 42}] * 2
    assert found["sweep"]["task"] == [0, 1]
    assert found["sweep"]["SLEEP"] == ["0", "1"]
    assert found["sweep"]["loss"] == [0.5, 0.5]
    assert found["lines"] == 2
    assert "2 COMPLETED" in found["of sweep"]


WAIT = r"""
import sys, slurmkit
spec = slurmkit.load("job.yaml", profile="none")
job = spec.replace(environment={"variables": {"SLEEP": 2}}).submit(via="simulate")
job.wait()
"""


def test_a_terminal_shows_a_line_while_it_waits(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    (tmp_path / "rank.sh").write_text(RANK, encoding="utf-8")
    ours, theirs = pty.openpty()
    variables = {"XDG_STATE_HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "120"}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-c", WAIT],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b"".join(_parts(terminal))
        process.wait(10)
    assert process.returncode == 0, shown.decode()
    assert b"(from python)  RUNNING  " in shown
    assert b"loss 0.5" in shown
    *before, last, rest = shown.split(b"\n")
    assert re.search(rb"job \d+ \(from python\)  COMPLETED  0:0\d  loss 0\.5\r", last)
    assert rest == b""
    assert len(before) < 3, "one line, written over and over"


def _parts(terminal: IO[bytes]) -> Iterator[bytes]:
    with suppress(OSError):  # the other side has closed
        while part := terminal.read(4096):
            yield part
