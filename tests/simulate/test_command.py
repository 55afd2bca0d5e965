"""`slurmkit simulate` as a user types it: exit codes, what it prints, and a real torchrun."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
name: probe
resources: {{nodes: 2, cpus_per_node: 2}}
entrypoint:
  command: {command}
"""


def slurmkit(
    directory: Path, *words: str, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from slurmkit.cli import main; main()", *words],
        cwd=directory,
        env={**os.environ, "XDG_STATE_HOME": str(directory / "state")},
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_all_reduce_over_two_nodes_of_two_processes(tmp_path: Path) -> None:
    job = str(ROOT / "jobs" / "all_reduce.yaml")
    done = slurmkit(tmp_path, "simulate", job)
    assert done.returncode == 0, done.stdout + done.stderr
    for rank in range(4):
        node, local = divmod(rank, 2)
        line = f"node{node} | [rank{rank}] rank {rank}/4 host node{node} local rank {local}/2"
        assert line in done.stdout.splitlines()
    last = done.stderr.splitlines()[-1]
    found = re.fullmatch(
        r"simulate: job (\d+) COMPLETED after [\d.]+ s; run directory (runs/all-reduce/\1)", last
    )
    assert found
    logs = sorted(path.name for path in (tmp_path / found[2] / "logs").iterdir())
    assert logs == [f"node{rank // 2}.rank{rank}.log" for rank in range(4)]


def test_a_failed_job_ends_with_1_and_says_its_own_code_and_logs(tmp_path: Path) -> None:
    job = PROBE.format(command="[bash, -c, 'echo out; exit 5']")
    done = slurmkit(tmp_path, "simulate", "-", "--nodes", "1", "--procs-per-node=1", text=job)
    assert done.returncode == 1
    assert "nodes: 2 -> 1" in done.stderr
    assert "node0 | [rank0] out" in done.stdout
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"simulate: job (\d+) FAILED with exit code 1 after .* s; first to fail: rank 0 on node0 "
        r"\(exit code 5\), see runs/probe/\1/logs/node0\.rank0\.log",
        last,
    )


def test_the_first_to_fail_is_named_among_many(tmp_path: Path) -> None:
    fail = "((RANK == 3)) && kill -9 $$; sleep 60"
    done = slurmkit(
        tmp_path,
        *("simulate", "-", "--processes-per-node=2", "--set", "resources.cpus_per_node=4"),
        text=PROBE.format(command=f"[bash, -c, '{fail}']"),
    )
    assert "first to fail: rank 3 on node1 (signal 9), see runs/probe/" in done.stderr


def test_a_dead_node_and_the_run_after_it(tmp_path: Path) -> None:
    job = PROBE.format(
        command="[bash, -c, '((SLURMKIT_ATTEMPT)) && exec echo again; touch up$RANK; sleep 99']"
    )
    job += "requeue: {when: [node_failure]}\n"
    done = slurmkit(tmp_path, "simulate", "-", "--kill", "node1@6s", text=job)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("again") == 2
    assert re.search(r"COMPLETED after .* s and 1 requeue; run directory", done.stderr)
    listed = (tmp_path / "state" / "slurmkit" / "jobs.jsonl").read_text()
    assert listed.count('"cluster": "simulate"') == 2  # told apart from jobs of real clusters


def test_a_crash_is_restarted_with_another_port(tmp_path: Path) -> None:
    crash = "echo port $MASTER_PORT; ((SLURMKIT_ATTEMPT)) || { ((RANK == 1)) && exit 7; sleep 99; }"
    job = PROBE.format(command=f"[bash, -c, '{crash}']") + "launcher: {restarts: 1}\n"
    done = slurmkit(tmp_path, "simulate", "-", text=job)
    assert done.returncode == 0, done.stderr
    assert len(set(re.findall(r"port (\d+)", done.stdout))) == 2


def test_a_job_saves_before_its_time_limit_and_is_requeued(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import os, pathlib, signal, sys, time\n"
        "told = []\n"
        "signal.signal(signal.SIGUSR1, lambda *_: told.append(1))\n"
        "if os.environ['SLURMKIT_ATTEMPT'] == '1': sys.exit(print('resumed'))\n"
        "while not told: time.sleep(0.1)\n"
        "status = pathlib.Path(os.environ['SLURMKIT_RUN_DIR'], 'status.json')\n"
        "print('saved')\n"
        'if os.environ["RANK"] == "0": status.write_text(\'{"state": "stopped"}\')\n'
    )
    job = (
        "name: probe\nresources: {nodes: 2, cpus_per_node: 2, time: '1:08'}\n"
        "requeue: {lead_time: 60}\nentrypoint: {script: train.py}\n"
    )
    done = slurmkit(tmp_path, "simulate", "-", text=job)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("node")]
    expected = [
        f"node{rank} | [rank{rank}] {word}" for word in ("saved", "resumed") for rank in (0, 1)
    ]
    assert sorted(said[:2]) + sorted(said[2:]) == expected


@pytest.mark.parametrize(
    ("job", "words", "told"),
    [
        (PROBE.format(command="[./nothing]"), [], "make it, or correct the path"),
        (PROBE.format(command="[true]") + "x: 1", [], "x"),
        (PROBE.format(command="[true]"), ["--nodes", "0"], "--nodes"),
        (PROBE.format(command="[true]"), ["--kill", "node2@1s"], "the job has node0 to node1"),
        (PROBE.format(command="[true]"), ["--kill", "node1"], "write it like node1@10s"),
        (PROBE.format(command="[true]"), ["--cancel", "soon"], "'soon' is no time"),
        (PROBE.format(command="[true]"), ["--set", "sbatch.chdir=nowhere"], "no directory"),
    ],
)
def test_bad_input_ends_with_2(tmp_path: Path, job: str, words: list[str], told: str) -> None:
    done = slurmkit(tmp_path, "simulate", "-", *words, text=job)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_standins_start_without_the_libraries_of_slurmkit() -> None:
    code = (
        "import sys; import slurmkit.launch.simulate.srun, slurmkit.launch.simulate.scontrol; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'pydantic', 'click', 'yaml', "
        "'jinja2', 'torch', 'rich', 'submitit'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
