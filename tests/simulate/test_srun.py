"""A step of the stand-in srun: output, exit codes, signals, and what becomes of leftovers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.simulate.simulation import processes_of, simulate, until


def test_output_is_led_by_the_node(tmp_path: Path) -> None:
    done = simulate(tmp_path, "srun bash -c 'echo out $SLURM_PROCID; printf err >&2'")
    assert sorted(done.stdout.splitlines()) == ["node0 | out 0", "node1 | out 1"]
    assert sorted(done.stderr.splitlines()) == ["node0 | err", "node1 | err"]


def test_exported_functions_and_odd_paths_reach_the_nodes(tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s "odd" $HOME\\x'
    odd.mkdir()
    done = simulate(odd, 'node() { echo "here $PWD"; }; export -f node; srun -N1 -n1 bash -c node')
    assert done.stdout == f"node0 | here {odd}\n", done.stderr


def test_standard_input_goes_to_every_task(tmp_path: Path) -> None:
    done = simulate(tmp_path, "echo hello | srun cat")
    assert sorted(done.stdout.splitlines()) == ["node0 | hello", "node1 | hello"]


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("exit $((SLURM_PROCID * 3))", 3, "srun: error: node1: task 1: Exited with exit code 3"),
        ("exit $((5 - SLURM_PROCID))", 5, "srun: error: node0: task 0: Exited with exit code 5"),
        ("kill -USR1 $$", 138, "srun: error: node0: task 0: User defined signal 1"),
        ("kill -KILL $$", 137, "srun: error: node1: task 1: Killed"),
    ],
)
def test_the_highest_exit_code_counts(tmp_path: Path, command: str, code: int, told: str) -> None:
    done = simulate(tmp_path, f"srun bash -c '{command}'; echo code $?")
    assert done.stdout == f"code {code}\n"
    assert told in done.stderr.splitlines()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    done = simulate(tmp_path, "srun ./nothing; echo code $?")
    assert done.stdout == "code 2\n"
    assert "slurmstepd: error: execve(): ./nothing: No such file or directory" in done.stderr


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    done = simulate(tmp_path, "srun --multi-prog conf; echo code $?")
    assert done.stdout == "code 1\n"
    assert "srun: error: --multi-prog: slurmkit simulate does not know" in done.stderr


def test_one_bad_exit_ends_the_step(tmp_path: Path) -> None:
    start = time.monotonic()
    done = simulate(
        tmp_path,
        "srun --kill-on-bad-exit=1 bash -c '((SLURM_PROCID)) && exit 7; setsid sleep 60 & wait'"
        "; echo code $?",
    )
    assert time.monotonic() - start < 10
    assert done.stdout == "code 143\n"
    assert "srun: error: node1: task 1: Exited with exit code 7" in done.stderr
    assert "srun: error: node0: task 0: Terminated" in done.stderr


def test_a_deaf_task_is_killed_a_while_after_a_bad_exit(tmp_path: Path) -> None:
    start = time.monotonic()
    done = simulate(
        tmp_path,
        "srun -K bash -c '((SLURM_PROCID)) && exit 7; trap \"\" TERM; while :; do sleep 1; done'"
        "; echo code $?",
    )
    assert time.monotonic() - start < 15
    assert done.stdout == "code 137\n"


def test_without_it_the_others_go_on(tmp_path: Path) -> None:
    done = simulate(tmp_path, "srun bash -c '((SLURM_PROCID)) && exit 7; sleep 1; echo done'")
    assert done.stdout == "node0 | done\n"


def test_signals_reach_workers_in_sessions_of_their_own(tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, signal, sys, pathlib\n"
        "os.setsid()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: (print('told', flush=True), os._exit(0)))\n"
        "pathlib.Path(f'up{os.environ[\"SLURM_PROCID\"]}').touch()\n"
        "while True: signal.pause()\n"
    )
    done = simulate(
        tmp_path,
        "srun bash -c 'trap \"\" USR1; python3 worker.py & wait; wait' & step=$!\n"
        "until [[ -e up0 && -e up1 ]]; do sleep 0.1; done\n"
        "kill -USR1 $step; wait $step; echo code $?",
    )
    assert sorted(done.stdout.splitlines()) == ["code 0", "node0 | told", "node1 | told"]


def test_srun_does_not_pass_sigterm_on_but_kills(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        "srun bash -c 'trap \"echo no\" TERM; touch up$SLURM_PROCID; sleep 60' & step=$!\n"
        "until [[ -e up0 && -e up1 ]]; do sleep 0.1; done\n"
        "kill $step; wait $step; echo code $?",
    )
    assert done.stdout == "code 137\n"
    assert "srun: forcing job termination" in done.stderr


def test_two_interrupts_end_the_step(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        "srun bash -c 'touch up$SLURM_PROCID; exec sleep 60' & step=$!\n"
        "until [[ -e up0 && -e up1 ]]; do sleep 0.1; done\n"
        "kill -INT $step; sleep 0.3; kill -INT $step; wait $step; echo code $?",
    )
    assert done.stdout == "code 130\n"
    assert "srun: interrupt (one more within 1 sec to abort)" in done.stderr


def test_what_a_task_leaves_behind_is_killed(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        "srun bash -c 'setsid sleep 60 > /dev/null 2>&1 & env -i sleep 60 & "
        "echo $! started; exit 0'; echo code $?",
    )
    *started, code = done.stdout.splitlines()
    assert code == "code 0"
    hidden = [line.split()[2] for line in started]  # their environment tells nothing
    assert len(hidden) == 2
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in hidden), seconds=2)
    assert processes_of(tmp_path / "scratch") == []
    assert done.outcome["seconds"] < 8


def test_what_is_written_to_the_very_end_is_not_lost(tmp_path: Path) -> None:
    line = "x" * 99
    done = simulate(tmp_path, f"srun -N1 -n1 bash -c 'for i in {{1..5000}}; do echo {line}; done'")
    assert done.stdout == f"node0 | {line}\n" * 5000


def test_two_steps_at_once_have_numbers_of_their_own(tmp_path: Path) -> None:
    done = simulate(
        tmp_path, "srun -n1 printenv SLURM_STEP_ID & srun -n1 printenv SLURM_STEP_ID; wait"
    )
    steps = sorted(line.split(" | ")[1] for line in done.stdout.splitlines())
    assert steps == ["0", "1"]
