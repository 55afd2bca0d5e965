"""What a script prints: passed on as it comes, and kept in the run directory."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from tests.simulate.simulation import DRIVER, NODES, Done, simulate
from tests.simulate.test_command import PROBE, slurmkit

MAKE = "dir=runs/demo/$SLURM_JOB_ID; mkdir -p $dir\n"


def kept(done: Done) -> str:
    directory = Path(done.outcome["directory"])
    return (directory / f"slurmkit-{directory.name}.out").read_text()


def test_the_words_of_the_script_and_of_srun_are_kept_and_those_of_ranks_are_not(
    tmp_path: Path,
) -> None:
    step = 'echo "[rank$SLURM_PROCID] mine"; echo agent >&2; ((SLURM_PROCID)) && exit 3; sleep 9'
    done = simulate(tmp_path, f"{MAKE}echo out; printf 'no end' >&2\nsrun -K bash -c '{step}'")
    lines = kept(done).splitlines()
    assert {"out", "agent", "srun: error: node1: task 1: Exited with exit code 3"} <= set(lines)
    assert "no end" in done.stderr
    assert "node1 | [rank1] mine" in done.stdout
    assert "mine" not in kept(done)


def test_all_runs_of_a_requeued_job_are_kept(tmp_path: Path) -> None:
    again = "[[ ${SLURM_RESTART_COUNT:-0} = 1 ]] || { scontrol requeue $SLURM_JOB_ID; sleep 9; }"
    done = simulate(tmp_path, f"{MAKE}echo run ${{SLURM_RESTART_COUNT:-0}}\n{again}")
    assert kept(done).split("run ")[1:] == ["0\n", "1\n"]


def test_output_and_errors_that_go_to_one_place_keep_their_order(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\n{NODES}for n in {{1..50}}; do echo $n; echo $n >&2; done\n")
    command = [sys.executable, "-c", DRIVER, str(script), "[]", "{}"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(n) for n in range(1, 51) for _ in range(2)]


def test_a_reader_that_leaves_ends_the_script(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\n{NODES}while echo word; do :; done\n")
    command = [sys.executable, "-c", DRIVER, str(script), "[]", "{}"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0


def test_a_slow_reader_gets_all_of_it(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\n{NODES}seq 18000\n")  # more than a pipe holds
    command = [sys.executable, "-c", DRIVER, str(script), "[]", "{}"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(4)  # the script has long ended, what it said is on its way
        assert process.stdout is not None
        assert process.stdout.read().split() == [str(n) for n in range(1, 18001)]


def test_what_cannot_be_kept_is_passed_on_all_the_same(tmp_path: Path) -> None:
    keep = "for file in $TMPDIR/*/output; do rm $file && mkdir $file; done"
    done = simulate(tmp_path, f"echo one\nsleep 0.5\n{keep}\necho two\nsleep 0.5\necho three")
    assert done.stdout.split() == ["one", "two", "three"]
    assert done.outcome["state"] == "COMPLETED"


def test_nodes_have_colours_on_a_terminal(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\n{NODES}{MAKE}srun -n1 echo here\n")
    master, slave = pty.openpty()
    environment = {**os.environ, "NO_COLOR": ""}
    command = [sys.executable, "-c", DRIVER, str(script), "[]", "{}"]
    subprocess.run(command, cwd=tmp_path, stdout=slave, stderr=slave, check=True, env=environment)
    assert b"\x1b[36mnode0 |\x1b[0m here" in os.read(master, 1 << 16)
    os.close(master)
    os.close(slave)
    output = next(tmp_path.glob("runs/demo/*/*.out"))
    assert output.read_text() == "here\n"


def test_a_job_that_dies_before_its_launch_is_told_and_found(tmp_path: Path) -> None:
    """Where nothing has written a rank's log, the script's own words are all there is."""
    job = PROBE.format(command="[true]") + "environment: {setup: [conda activate mine]}\n"
    done = slurmkit(tmp_path, "simulate", "-", text=job)
    *_, why, last = done.stderr.splitlines()
    assert "D41 conda is not set up in the script" in why
    assert last.endswith(".out")
    assert "D41" in slurmkit(tmp_path, "doctor").stdout  # of the last that failed
    shown = slurmkit(tmp_path, "status").stdout.splitlines()
    assert ["FAILED" in line and "D41" in line for line in shown if "probe" in line] == [True]
    assert "exit code 127" in slurmkit(tmp_path, "status", "--last").stdout
