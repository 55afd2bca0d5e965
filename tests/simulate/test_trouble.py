"""Trouble strikes as it would on a cluster, and the job comes back, or stays away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.launch.simulate.trouble import (
    Strike,
    Trouble,
    read_kill,
    read_seconds,
    read_signal,
)
from tests.simulate.simulation import NODES, Done, simulate

# Each task says what reaches it; the batch shell, too. The second run ends at once.
BODY = """
[[ -z ${SLURM_RESTART_COUNT-} ]] || { echo "run $SLURM_RESTART_COUNT of $SLURM_JOB_ID"; exit 0; }
trap 'echo batch TERM $(squeue -h -j $SLURM_JOB_ID -o %T)' TERM
trap 'echo batch USR1' USR1
srun --kill-on-bad-exit=1 bash -c '
  trap "echo task TERM" TERM; trap "echo task USR1" USR1
  echo up; for i in {1..300}; do sleep .1; done
' & step=$!
while kill -0 $step 2> /dev/null; do wait $step || code=$?; done
echo srun is gone
"""


def run(tmp_path: Path, *directives: str, body: str = BODY, **trouble: object) -> Done:
    lines = "".join(f"#SBATCH {line}\n" for line in ("--time=10", *directives))
    return simulate(tmp_path, body, directives=NODES + lines, trouble=trouble)


def test_a_dead_node_ends_the_job_and_slurm_runs_it_again(tmp_path: Path) -> None:
    done = run(tmp_path, kill=["node1@2s"])
    assert f"run 1 of {done.outcome['job_id']}\n" in done.stdout
    assert (done.outcome["state"], done.outcome["restarts"]) == ("COMPLETED", 1)
    lines = done.stdout.splitlines()
    assert "node0 | task TERM" in lines, "the other node has its grace"
    assert "node1 | task TERM" not in lines, "the dead have none"
    assert "batch TERM COMPLETING" in lines
    assert "error: Node failure on node1" in done.stderr


def test_the_node_of_the_script_dies(tmp_path: Path) -> None:
    done = run(tmp_path, kill=["0@2s"])
    assert "batch TERM" not in done.stdout
    assert "node1 | task TERM" in done.stdout or "node1" not in done.stderr
    assert f"run 1 of {done.outcome['job_id']}\n" in done.stdout


def test_a_job_that_may_not_be_requeued_is_node_fail(tmp_path: Path) -> None:
    done = run(tmp_path, "--no-requeue", kill=["node1@2s"])
    assert (done.outcome["state"], done.outcome["restarts"]) == ("NODE_FAIL", 0)
    assert done.outcome["first"] is None


def test_a_cancelled_job_stays_away(tmp_path: Path) -> None:
    done = run(tmp_path, cancel=2)
    assert (done.outcome["state"], done.outcome["restarts"]) == ("CANCELLED", 0)
    assert "batch TERM COMPLETING" in done.stdout


def test_preemption_tells_the_steps_alone_and_ends_the_job_after_the_grace(tmp_path: Path) -> None:
    start = time.monotonic()
    done = run(tmp_path, preempt=2, grace=2)
    lines = done.stdout.splitlines()
    assert {"node0 | task TERM", "node1 | task TERM"} <= set(lines)
    first_batch = lines.index("batch TERM COMPLETING")
    assert lines.index("node0 | task TERM") < first_batch, "the script hears of it at the end only"
    assert done.outcome["restarts"] == 1
    assert time.monotonic() - start > 4


def test_who_leaves_within_the_grace_is_done(tmp_path: Path) -> None:
    body = """
    trap 'squeue -h -j $SLURM_JOB_ID -o "%T %e"' EXIT
    srun bash -c 'trap "exit 0" TERM; sleep 60 & wait'
    """
    done = run(tmp_path, body=body, preempt=2, grace=600)
    assert (done.outcome["state"], done.outcome["restarts"]) == ("COMPLETED", 0)
    assert done.stdout.startswith("RUNNING 2")


def test_preempted_without_leave_to_requeue(tmp_path: Path) -> None:
    assert run(tmp_path, "--no-requeue", preempt=1, grace=0).outcome["state"] == "PREEMPTED"


def test_the_signal_comes_as_long_before_the_time_limit_as_the_script_asks(tmp_path: Path) -> None:
    body = (
        "trap 'echo $((SLURM_JOB_END_TIME - $(date +%s)))' USR2\n"
        'date -d "$(squeue -h -j "$SLURM_JOB_ID" -o %e)" +%s; echo $SLURM_JOB_END_TIME\n'
        "srun sleep 60 & step=$!; wait; kill $step"
    )
    done = run(tmp_path, "--signal=B:USR1@120", body=body, signal="USR2@2s")
    asked, told, left = done.stdout.split()
    assert asked == told
    assert 117 <= int(left) <= 120
    assert done.outcome["state"] == "COMPLETED"


def test_the_time_limit_follows(tmp_path: Path) -> None:
    done = run(tmp_path, "--signal=B:USR1@2", signal="USR1@2s")
    assert done.stdout.count("USR1") == 1
    assert "batch USR1" in done.stdout
    assert done.outcome["state"] == "TIMEOUT"


def test_a_signal_that_the_script_does_not_ask_for_goes_to_the_steps(tmp_path: Path) -> None:
    done = run(tmp_path, signal="USR1@2s", cancel=3)
    lines = done.stdout.splitlines()
    assert sorted(line for line in lines if "USR1" in line) == [
        *("node0 | task USR1", "node1 | task USR1")
    ]


def test_trouble_in_every_run(tmp_path: Path) -> None:
    body = """
    ((${SLURM_RESTART_COUNT:-0} == 2)) && exit 4
    srun sleep 60
    """
    done = run(tmp_path, body=body, preempt=1, grace=0, every_run=True)
    assert (done.outcome["restarts"], done.outcome["code"]) == (2, 4)
    assert "--preempt 1s: did not strike" in done.stderr


def test_the_log_of_a_requeued_job(tmp_path: Path) -> None:
    without, appended = (
        run(tmp_path, *option, preempt=1, grace=0) for option in ((), ("--open-mode=append",))
    )
    assert "without --open-mode=append its log starts anew" in without.stderr
    assert "starts anew" not in appended.stderr


def test_trouble_is_read_as_it_is_written() -> None:
    assert [read_seconds(text) for text in ("10", "10s", "2m", "1h")] == [10, 10, 120, 3600]
    assert read_kill("node1@10s") == read_kill("1@10") == Strike(10, "kill", node=1)
    assert str(read_kill("node1@2m")) == "--kill node1@120s"
    assert read_signal("SIGUSR2@5") == read_signal("usr2@5s")
    assert str(read_signal("USR1@5")) == "--signal USR1@5s"


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (read_seconds, "10x", "'10x' is no time"),
        (read_seconds, "-1", "'-1' is no time"),
        (read_kill, "node1", "names no time"),
        (read_kill, "login@10s", "'login' is no node of a simulation"),
        (read_signal, "FOO@10s", "'FOO' is no signal"),
        (read_signal, "USR1@", "'' is no time"),
    ],
)
def test_what_is_no_trouble_is_refused(read: object, text: str, told: str) -> None:
    assert callable(read)
    with pytest.raises(ValueError, match=told):
        read(text)


def test_a_node_that_the_job_does_not_have() -> None:
    with pytest.raises(SimulationError, match="--kill node2@10s: the job has node0 to node1"):
        Trouble((read_kill("node2@10s"),)).check(2)
