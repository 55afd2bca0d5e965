"""Scripts as tutorials have them, and what becomes of them where the rendered script works."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.slurm import programs
from tests.slurm.test_end_to_end import work
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

HEAD = """#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks-per-node={tasks}
#SBATCH --cpus-per-task=2
#SBATCH --output=tutorial.out
#SBATCH --time=2
PATH={bin}:$PATH
export MASTER_ADDR={master}
export MASTER_PORT=29871
"""
LAUNCH = (
    "srun torchrun --nnodes=2 --nproc-per-node=2 {rank}"
    " --master-addr=$MASTER_ADDR --master-port=$MASTER_PORT {program}"
)
FIRST = '$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'


def outcome(slurm: SlurmCluster, work: Path, script: str, patience: float) -> tuple[str, str]:
    """Run a script for at most `patience` seconds; return the job's state and its log."""
    (work / "job.sbatch").write_text(script)
    job_id = slurm.run(["sbatch", "--parsable", "job.sbatch"], cwd=work).stdout.strip()
    slurm.wait(job_id, ("RUNNING", "COMPLETED", "FAILED"), timeout=60)
    end = time.monotonic() + patience
    while (state := slurm.job_state(job_id)) == "RUNNING" and time.monotonic() < end:
        time.sleep(0.5)
    return state, (work / "tutorial.out").read_text()


def script(work: Path, tasks: int = 1, master: str = FIRST, **parts: str) -> str:
    program = programs.write(work, "program.py", programs.HELLO)
    parts = {"rank": "--node-rank=$SLURM_NODEID", "program": str(program), **parts}
    head = HEAD.format(tasks=tasks, master=master, bin=Path(sys.executable).parent)
    return head + LAUNCH.format(**parts) + "\n"


@pytest.mark.proof
def test_a_rank_expanded_on_the_batch_host_never_makes_one_world(
    slurm: SlurmCluster, work: Path
) -> None:
    state, log = outcome(slurm, work, script(work), patience=25)
    assert state in ("RUNNING", "FAILED"), "node 2 believes that it is rank 0, too"
    assert "world 4" not in log


@pytest.mark.proof
def test_an_agent_for_each_gpu_collides_on_the_port(slurm: SlurmCluster, work: Path) -> None:
    # Each of the tasks starts both workers.
    text = (
        script(work, tasks=2)
        .replace("srun ", "srun bash -c '")
        .replace("program.py", "program.py'")
    )
    state, log = outcome(slurm, work, text, patience=25)
    assert state in ("RUNNING", "FAILED")
    assert "EADDRINUSE" in log or "address already in use" in log.lower(), log


@pytest.mark.proof
def test_localhost_makes_every_node_a_world_of_its_own(slurm: SlurmCluster, work: Path) -> None:
    text = script(
        work, master="localhost", rank="--rdzv-backend=c10d --rdzv-endpoint=localhost:29872"
    )
    state, log = outcome(slurm, work, text, patience=30)
    assert state in ("RUNNING", "FAILED")
    assert "world 4" not in log


def test_the_cure_for_the_first_of_them_works(slurm: SlurmCluster, work: Path) -> None:
    # The control: with the rank read on the node the same script forms one world.
    text = script(work).replace("srun ", "srun bash -c '").replace("program.py", "program.py'")
    state, log = outcome(slurm, work, text, patience=60)
    assert state == "COMPLETED", log
    assert log.count("world 4") == 4
