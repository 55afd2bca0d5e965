"""`slurmkit status`, `exec` and `cancel` on a real Slurm, as a user types them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.test_end_to_end import SLURMKIT, run_directory, work
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

Kit = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = """\
import signal, sys

signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
print("hello", flush=True)
signal.pause()
"""
JOB = """\
name: followed é
resources: {nodes: 2, gpus_per_node: 1, processes_per_node: 1, cpus_per_node: 2, time: 5}
requeue: {when: [time_limit], lead_time: 60}
launcher: {kind: srun}
entrypoint: {script: program.py}
"""
FORGETFUL = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"


@pytest.fixture
def kit(slurm: SlurmCluster, work: Path) -> Kit:
    """Return a function that types a command, slurmkit's own first, in the work directory."""
    path = f"{SLURMKIT.parent}:{slurm.env['PATH']}"

    def run(*words: str, path_first: Path | None = None) -> subprocess.CompletedProcess[str]:
        first = f"{path_first}:" if path_first else ""
        env = {"XDG_STATE_HOME": str(work / "state"), "PATH": first + path}
        return slurm.run(["slurmkit", *words], cwd=work, env=env)

    return run


def submit(slurm: SlurmCluster, work: Path, text: str) -> str:
    (work / "job.yaml").write_text(text, encoding="utf-8")
    (work / "program.py").write_text(PROGRAM, encoding="utf-8")
    command = f"{SLURMKIT} render job.yaml --profile none | sbatch --parsable"
    env = {"XDG_STATE_HOME": str(work / "state")}
    return slurm.run(["bash", "-c", command], cwd=work, env=env, check=True).stdout.strip()


def stand_in(work: Path, name: str, script: str) -> Path:
    """Make a directory for PATH with one program that stands before Slurm's own."""
    directory = work / f"instead-of-{name}"
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/bash\n{script}\n")
    (directory / name).chmod(0o755)
    return directory


def python(slurm: SlurmCluster, work: Path, program: str, *words: str) -> str:
    """Run a program that uses slurmkit; return what it wrote to standard error."""
    return slurm.run([sys.executable, "-c", program, *words], cwd=work).stderr


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_job_from_its_start_to_its_end(slurm: SlurmCluster, work: Path, kit: Kit) -> None:
    id = submit(slurm, work, JOB)
    slurm.wait(id, "RUNNING")
    logs = f"runs/*/{id}/logs/*"
    wait_for(lambda: [log.read_text() for log in work.glob(logs)] == ["hello\n"] * 2)
    run = run_directory(work, id)
    _shown_while_it_runs(id, work, kit)
    _looked_into(id, kit)
    _signalled(id, slurm, run, kit)
    _shown_when_over(id, slurm, work, kit)


def _shown_while_it_runs(id: str, work: Path, kit: Kit) -> None:
    shown = kit("status")
    assert shown.stderr == ""
    (header, row) = [line for line in shown.stdout.splitlines() if line.startswith(("JOB ", id))]
    # Jobs of other tests may need columns of their own behind these.
    assert header.split()[:6] == ["JOB", "NAME", "STATE", "NODES", "ELAPSED", "LEFT"]
    assert row.split()[:5] == [id, "followed", "é", "RUNNING", "2"]
    told = kit("status", "followed é").stdout
    for words in (f"job {id}  followed é", "2  node[1-2]", " of 5:00, ", "(2 ranks)", "  started"):
        assert words in told, told
    data = json.loads(kit("status", "--last", "--json").stdout)
    assert (data["id"], data["state"], data["nodes"], data["limit"]) == (id, "RUNNING", 2, 300)
    assert data["directory"] == str(run_directory(work, id))
    assert data["events"][0]["event"] == "started"
    assert len(data["logs"]) == 2


def _looked_into(id: str, kit: Kit) -> None:
    program = "echo gpu $CUDA_VISIBLE_DEVICES; echo oops >&2; exit $((SLURM_NODEID * 3))"
    ran = kit("exec", id, "--", "bash", "-c", program)
    assert ran.returncode == 3
    assert sorted(ran.stdout.splitlines()) == ["node1: gpu 0", "node2: gpu 0"]
    assert {"node1: oops", "node2: oops"} <= set(ran.stderr.splitlines())
    for node in ("node2", "1"):
        assert kit("exec", "followed é", "--node", node, "--", "hostname").stdout == "node2\n"
    wrong = kit("exec", id, "--node", "node9", "--", "true")
    assert (wrong.returncode, "its nodes are node[1-2]" in wrong.stderr) == (2, True)


def _signalled(id: str, slurm: SlurmCluster, run: Path, kit: Kit) -> None:
    told = kit("cancel", "--last", "--signal", "SIGUSR1")
    assert (told.returncode, told.stdout) == (0, "")
    assert "was sent SIGUSR1" in told.stderr
    slurm.wait(id, "COMPLETED")
    events = [json.loads(line)["event"] for line in (run / "events" / "batch.jsonl").open()]
    assert events == ["started", "signalled", "ended"], "as when Slurm itself signals"


def _shown_when_over(id: str, slurm: SlurmCluster, work: Path, kit: Kit) -> None:
    over = kit("cancel", id)
    assert (over.returncode, "has ended already: COMPLETED" in over.stderr) == (0, True)
    refused = kit("exec", id, "--", "true")
    assert refused.returncode == 1
    assert f"job {id} is COMPLETED: a command runs only beside a job that runs" in refused.stderr
    assert "COMPLETED: ended with exit code 0" in kit("status", id).stdout
    slurm.sacct(id)  # waits until the accounting knows it all
    # squeue has forgotten it; sacct knows; then there is no sacct either.
    forgetful = stand_in(work, "squeue", FORGETFUL)
    told = kit("status", id, path_first=forgetful)
    assert (told.stderr, "COMPLETED" in told.stdout) == ("", True)
    assert "partition  main" in told.stdout
    (forgetful / "sacct").write_text(
        "#!/bin/bash\necho 'Slurm accounting storage is disabled' >&2; exit 1\n"
    )
    (forgetful / "sacct").chmod(0o755)
    told = kit("status", id, path_first=forgetful)
    assert told.stderr == ""
    assert "COMPLETED: ended with exit code 0" in told.stdout
    assert "node1,node2" in told.stdout, "from the names of the logs"
    assert "partition" not in told.stdout


def test_arrays_and_names(slurm: SlurmCluster, work: Path, kit: Kit) -> None:
    script = "#!/bin/bash\ncase $SLURM_ARRAY_TASK_ID in 0) exit 3;; *) sleep 60;; esac\n"
    array = slurm.submit(script, "--array=0-5%2", "--job-name=twins", "--time=5", cwd=work)
    held = slurm.submit("#!/bin/bash\ntrue\n", "--hold", "--job-name=twins", cwd=work)
    slurm.wait(f"{array}_2", "RUNNING")
    told = kit("status", array).stdout
    assert "3 PENDING" in told
    assert "sweep_limit (the array's %) lets no more tasks run at once" in told
    (failed,) = [line for line in told.splitlines() if line.startswith("0 ")]
    assert re.fullmatch(r"0 +FAILED +node1 +0:0\d +exit code 3", failed.strip())
    assert f"scontrol release {held}" in kit("status", held).stdout
    ambiguous = kit("cancel", "twins")
    assert ambiguous.returncode == 2
    assert array in ambiguous.stderr
    assert held in ambiguous.stderr
    several = kit("exec", array, "--", "true")
    assert (several.returncode, "name one" in several.stderr) == (2, True)
    assert kit("exec", f"{array}_1", "--", "hostname").stdout.startswith("node")
    unknown = kit("cancel", f"{array}_1", "999999")
    assert (unknown.returncode, "no job 999999" in unknown.stderr) == (2, True)
    assert slurm.job_state(f"{array}_1") == "RUNNING", "nothing was done"
    waiting = kit("cancel", held, "--signal", "USR1")
    assert (waiting.returncode, "only a job that runs" in waiting.stderr) == (2, True)
    assert kit("cancel", f"{array}_1", f"{array}_5").returncode == 0
    slurm.wait(f"{array}_1", ("CANCELLED", "COMPLETING"))
    tasks = json.loads(kit("status", array, "--json").stdout)["tasks"]
    states = {task["id"]: task["state"] for task in tasks}
    assert f"{array}_5" not in states, "Slurm forgets a task that never started"
    again = kit("cancel", f"{array}_5")
    assert (again.returncode, "leaves no trace" in again.stderr) == (2, True)
    assert states[f"{array}_2"] == "RUNNING"
    assert kit("cancel", "twins", array, held).returncode == 2
    over = slurm.submit("#!/bin/bash\ntrue\n", "--job-name=over", cwd=work)
    slurm.wait(over, "COMPLETED")
    assert f"job {over}  over" in kit("status", "over").stdout, "in the table as well"
    assert kit("cancel", array, held).returncode == 0
    assert json.loads(kit("status", held, "--json").stdout)["reason"] is None, "it waits no more"
    wait_for(lambda: "2 RUNNING" not in kit("status").stdout)


SWEEP = """\
name: pair
resources: {nodes: 1, cpus_per_node: 1, time: 5}
launcher: {kind: srun}
environment: {variables: {RATE: 0}}
entrypoint: {script: point.py}
sweep: {environment.variables.RATE: [0.5, 0.25]}
"""
POINT = """\
import json, os, pathlib

metrics = pathlib.Path(os.environ["SLURMKIT_RUN_DIR"], "metrics")
metrics.mkdir(exist_ok=True)
row = {"step": 1, "loss": float(os.environ["RATE"])}
(metrics / "train_log.jsonl").write_text(json.dumps(row) + "\\n")
"""


def test_what_never_ran_and_what_squeue_forgot(slurm: SlurmCluster, work: Path, kit: Kit) -> None:
    refused = slurm.run(["sbatch", "--mem=9999G", "--job-name=twice", "--wrap=true"], cwd=work)
    assert refused.returncode == 1
    (work / "point.py").write_text(POINT)
    sweep = submit(slurm, work, SWEEP)
    large = slurm.submit("#!/bin/bash\n", "--cpus-per-task=99", "--job-name=large", cwd=work)
    first = slurm.submit("#!/bin/bash\nexit 3\n", "--job-name=twice", cwd=work)
    chained = ["--kill-on-invalid-dep=yes", f"--dependency=afterok:{first}"]
    after = slurm.submit("#!/bin/bash\ntrue\n", *chained, "--job-name=never", cwd=work)
    slurm.wait(after, "CANCELLED")
    slurm.wait(f"{sweep}_1", "COMPLETED")
    failed = f"cancelled by Slurm: job {first}, which it waited for, did not end well"
    _told_in_words(after, failed, large, slurm, work, kit)
    _points_by_their_values(sweep, kit)
    ambiguous = kit("status", "twice")
    rows = [line.split() for line in ambiguous.stderr.splitlines()[1:]]
    assert ambiguous.returncode == 2
    assert {row[1] for row in rows} == {"FAILED"}
    assert rows[0][0] == first, "the newest first"
    assert {row[2] for row in rows} == {"ended"}, ambiguous.stderr
    (old,) = [row[0] for row in rows if row[0] != first]
    assert "never started: no node can ever fit it" in kit("status", old).stdout
    slurm.sacct(first)
    silent = stand_in(work, "squeue", "exit 0")
    shown = {row.split()[0]: row for row in kit("status", path_first=silent).stdout.splitlines()}
    assert "exit code 3" in shown[first], "of a job that sacct alone knows, and no list"
    assert "2 COMPLETED" in shown[sweep]
    assert "never started" in kit("status", old, path_first=silent).stdout
    assert "SIGHUP" not in "".join(shown.values())
    assert kit("cancel", large).returncode == 0


def _told_in_words(
    after: str, failed: str, large: str, slurm: SlurmCluster, work: Path, kit: Kit
) -> None:
    told = kit("status")
    (row,) = [line for line in told.stdout.splitlines() if line.startswith(after)]
    assert failed in row
    assert "SIGHUP" not in told.stdout
    assert f"CANCELLED: {failed}" in kit("status", after).stdout
    program = "import sys, slurmkit; slurmkit.Job.from_id(sys.argv[1]).result()"
    died = python(slurm, work, program, after)
    assert failed in died
    assert "logs" not in died.splitlines()[-1], "it has none"
    most = "resources.cpus_per_node is 99: at most 8 a node in partition main"
    assert most in kit("status", large).stdout


def _points_by_their_values(sweep: str, kit: Kit) -> None:
    lines = kit("status", sweep).stdout.splitlines()
    table = [line.split() for line in lines[lines.index("") + 1 :]]
    assert [row[0:3] for row in table[1:]] == [
        ["0", "0.5", "COMPLETED"],
        ["1", "0.25", "COMPLETED"],
    ]
    assert (table[0][:2], table[0][-1]) == (["TASKS", "RATE"], "LOSS")
    assert [row[-1] for row in table[1:]] == ["0.5", "0.25"]
    (_, second) = json.loads(kit("status", sweep, "--json").stdout)["tasks"]
    assert second["point"] == {"environment.variables.RATE": '"0.25"'}


def test_what_nobody_knows(slurm: SlurmCluster, work: Path, kit: Kit) -> None:
    for verb in (["status"], ["cancel"]):
        told = kit(*verb, "999999")
        assert (told.returncode, told.stdout) == (2, "")
        assert "job 999999" in told.stderr
        assert "slurmkit status" in told.stderr
    assert kit("cancel").returncode == 2
    assert "no job named 'nope'" in kit("status", "nope").stderr
    last = kit("status", "--last")
    assert (last.returncode, "no job was submitted from here" in last.stderr) == (2, True)
