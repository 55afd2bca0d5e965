"""A job's life: requeue, cancel, time limit, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.launch.simulate.jobid import held_job_id
from tests.simulate.simulation import NODES, Done, Running, processes_of, simulate, until

STOPPABLE = (
    'srun bash -c \'trap "echo stopping; exit 0" TERM; touch up$SLURM_PROCID; '
    "while :; do sleep 0.2; done' &\n"
    "until [[ -e up0 && -e up1 ]]; do sleep 0.1; done\n"
)
TREE = """
srun bash -c 'trap "" TERM; setsid sleep 300 & env -i sleep 300 & touch up$SLURM_PROCID; wait' &
(cd / && exec setsid sleep 300) &
wait
"""


def assert_nothing_left(running: Running) -> None:
    assert processes_of(running.scratch) == []
    assert list(running.scratch.iterdir()) == []


def started(tmp_path: Path, body: str = TREE) -> Running:
    running = Running(tmp_path, body)
    until(lambda: (tmp_path / "up0").exists() and (tmp_path / "up1").exists())
    return running


def test_the_exit_code_of_the_script_is_told(tmp_path: Path) -> None:
    done = simulate(tmp_path, "mkdir -p runs/demo/$SLURM_JOB_ID; exit 3")
    assert (done.outcome["state"], done.outcome["code"]) == ("FAILED", 3)
    assert done.outcome["directory"] == f"{tmp_path}/runs/demo/{done.outcome['job_id']}"


def test_a_requeued_script_runs_again_with_its_id_and_a_count(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        'echo "$SLURM_JOB_ID ${SLURM_RESTART_COUNT-none} $(srun -n1 printenv SLURM_STEP_ID)"\n'
        "((${SLURM_RESTART_COUNT:-0} == 2)) && exit 0\n"
        'scontrol requeue "$SLURM_JOB_ID"\necho not reached',
    )
    job_id = done.outcome["job_id"]
    expected = [f"{job_id} {count} node0 | 0" for count in ("none", "1", "2")]
    assert done.stdout.splitlines() == expected
    assert done.outcome["state"] == "COMPLETED"


def test_a_requeue_ends_the_steps(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        "[[ -z ${SLURM_RESTART_COUNT:-} ]] || exit 0\n"
        f'{STOPPABLE}scontrol requeue "$SLURM_JOB_ID"',
    )
    assert sorted(done.stdout.splitlines()) == ["node0 | stopping", "node1 | stopping"]
    assert (done.outcome["state"], done.outcome["seconds"] < 5) == ("COMPLETED", True)


def test_scancel_ends_the_job_and_its_state_says_so(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        f"trap 'squeue -h -j $SLURM_JOB_ID -o %T; exit 9' TERM\n{STOPPABLE}"
        'scancel "$SLURM_JOB_ID"; sleep 2',
    )
    assert sorted(done.stdout.splitlines()) == [
        *("COMPLETING", "node0 | stopping", "node1 | stopping")
    ]
    assert (done.outcome["state"], done.outcome["code"]) == ("CANCELLED", 9)


def test_the_time_limit_and_the_signal_before_it(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        "trap 'echo told' USR1\nsrun sleep 300 & step=$!\nwait $step; wait $step; echo not reached",
        directives=NODES + "#SBATCH --time=0:03 --signal=B:USR1@2\n",
    )
    assert done.stdout == "told\n"
    assert done.outcome["state"] == "TIMEOUT"
    assert 2 < done.outcome["seconds"] < 8


def test_the_signal_goes_to_the_steps_without_a_b(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        "trap 'echo wrong' USR1\n"
        "srun bash -c 'trap \"echo told; exit 0\" USR1; until false; do sleep 0.1; done' &\n"
        "wait $!; echo code $?",
        directives=NODES + "#SBATCH --time=0:08 --signal=USR1@4\n",
    )
    assert sorted(done.stdout.splitlines()) == ["code 0", "node0 | told", "node1 | told"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelled_from_outside(tmp_path: Path, number: signal.Signals) -> None:
    running = started(tmp_path)
    running.process.send_signal(number)
    done = running.wait()
    assert done.outcome["state"] == "CANCELLED"
    assert f"simulate: {number.name}: cancelling the job" in done.stderr
    assert_nothing_left(running)


def test_an_interrupt_does_not_bury_its_user(tmp_path: Path) -> None:
    """As torchrun's tracebacks would."""
    running = started(
        tmp_path,
        'srun bash -c \'trap "echo traceback >&2; echo saved; exit 1" TERM; '
        "touch up$SLURM_PROCID; sleep 300 & wait'",
    )
    running.process.send_signal(signal.SIGINT)
    done = running.wait()
    assert [line for line in done.stderr.splitlines() if "simulate:" not in line] == []
    assert done.stdout.count("saved") == 2


def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    running = started(tmp_path)
    start = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    running.process.send_signal(signal.SIGINT)
    running.wait()
    assert time.monotonic() - start < 4
    assert_nothing_left(running)


def test_the_simulation_itself_is_killed(tmp_path: Path) -> None:
    running = started(tmp_path)
    running.process.kill()
    running.wait()
    until(lambda: not processes_of(running.scratch) and not list(running.scratch.iterdir()))


def test_the_script_is_killed(tmp_path: Path) -> None:
    running = started(tmp_path, f"echo $$ > pid; {TREE}")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    done = running.wait()
    assert (done.outcome["state"], done.outcome["code"]) == ("FAILED", 137)
    assert_nothing_left(running)


def test_what_the_script_leaves_behind_is_ended(tmp_path: Path) -> None:
    running = Running(tmp_path, "srun bash -c 'sleep 300' & setsid sleep 300 & sleep 0.5")
    done = running.wait()
    assert (done.outcome["state"], done.outcome["seconds"] < 6) == ("COMPLETED", True)
    assert_nothing_left(running)


def test_two_at_once_keep_apart(tmp_path: Path) -> None:
    body = (
        "echo $((15000 + SLURM_JOB_ID % 17000)); touch up; until [[ -e go ]]; do sleep 0.1; done\n"
        "srun bash -c 'echo $SLURM_JOB_ID'"
    )
    both: list[tuple[Path, Running]] = []
    for name in ("a", "b"):
        directory = tmp_path / name
        directory.mkdir()
        both.append((directory, Running(directory, body)))
    until(lambda: all((directory / "up").exists() for directory, _ in both))
    (tmp_path / "a" / "go").touch()
    first = both[0][1].wait()
    (tmp_path / "b" / "go").touch()
    second = both[1][1].wait()
    for done in (first, second):
        job_id = done.outcome["job_id"]
        assert sorted(done.stdout.splitlines()[1:]) == [f"node0 | {job_id}", f"node1 | {job_id}"]
    assert first.stdout.splitlines()[0] != second.stdout.splitlines()[0]


def test_a_port_that_another_holds_is_not_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with (
            pytest.raises(SimulationError, match=str(port)),
            held_job_id(lambda _: port, lambda _: False),
        ):
            pass
    ports = iter([20001, 20001, 20002, 20002])
    with (
        held_job_id(lambda _: 20001, lambda _: False),
        held_job_id(lambda job_id: next(ports), lambda _: False),
    ):
        assert next(ports, None) is None


def test_a_used_run_directory_is_not_used_again() -> None:
    seen: list[int] = []

    def is_used(job_id: int) -> bool:
        seen.append(job_id)
        return len(seen) < 3

    with held_job_id(lambda job_id: 15000 + job_id % 17000, is_used) as job_id:
        assert job_id == seen[-1] != seen[0]


def test_the_start_directory_is_that_of_chdir(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    done = simulate(tmp_path, "pwd; echo $SLURM_SUBMIT_DIR", directives="#SBATCH --chdir=there\n")
    assert done.stdout.split() == [f"{tmp_path}/there", str(tmp_path)]
    missing: Done = simulate(tmp_path, "pwd", directives="#SBATCH --chdir=nowhere\n")
    assert f"sbatch.chdir: no directory {tmp_path}/nowhere" in missing.stderr
