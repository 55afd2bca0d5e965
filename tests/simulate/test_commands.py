"""The stand-ins for scontrol, squeue, scancel and sbatch, and that they cannot be missed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.simulate.simulation import simulate


def test_hostnames_are_addresses(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        'scontrol show hostnames "$SLURM_JOB_NODELIST"; scontrol show hostnames node[1,3],other',
    )
    assert done.stdout.split() == ["127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.4", "other"]


def test_squeue_knows_state_and_end(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        'squeue -h -j "$SLURM_JOB_ID" -o %T; squeue -h -j "$SLURM_JOB_ID" -o "%i:%e"\n'
        'date -d "$(squeue -h -j "$SLURM_JOB_ID" -o %e)" +%s; echo "$SLURM_JOB_END_TIME"',
    )
    state, both, end, variable = done.stdout.splitlines()
    assert state == "RUNNING"
    assert both == f"{done.outcome['job_id']}:{datetime.fromtimestamp(int(end)).isoformat()}"
    assert end == variable


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sbatch job.sh", "inside a simulation nothing can be submitted"),
        ("scontrol show job 1", "show job 1: slurmkit simulate knows"),
        ("scontrol requeue 5", "requeue 5: Invalid job id"),
        ("scontrol show hostnames 'node[1'", "node[1"),
        ("squeue -u me", "-u me: slurmkit simulate knows"),
        ("squeue -h -j $SLURM_JOB_ID -o %R", "slurmkit simulate knows"),
        ("squeue -h -j 5 -o %T", "Invalid job id"),
        ("scancel 5", "5: slurmkit simulate knows `scancel"),
    ],
)
def test_what_they_do_not_know_they_refuse(tmp_path: Path, line: str, told: str) -> None:
    done = simulate(tmp_path, f"{line}; echo code $?")
    assert done.stdout == "code 1\n"
    assert told in done.stderr


def test_a_directory_put_in_front_does_not_hide_them(tmp_path: Path) -> None:
    """As where Slurm's own commands and the Python that runs slurmkit are both in /usr/bin."""
    programs = tmp_path / "usr-bin"
    programs.mkdir()
    for name in ("srun", "scontrol", "squeue"):
        (programs / name).write_text("#!/bin/sh\necho the real one\n")
        (programs / name).chmod(0o755)
    done = simulate(
        tmp_path,
        f"{{\nset -e\nPATH={programs}:$PATH\n"
        'mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST"); echo "${nodes[*]}"\n'
        'node() { squeue -h -j "$SLURM_JOB_ID" -o %T; }; export -f node\n'
        "srun -N1 -n1 bash -c node & step=$!; wait $step\n"
        "}",
    )
    assert done.stdout == "127.0.0.1 127.0.0.2\nnode0 | RUNNING\n", done.stderr


def test_a_command_of_slurm_that_is_reached_all_the_same_finds_no_cluster(tmp_path: Path) -> None:
    done = simulate(tmp_path, 'echo "$SLURM_CONF"; test -e "$SLURM_CONF" || echo none')
    assert done.stdout.splitlines()[1] == "none"
    assert done.outcome["job_id"] > 67_108_864  # Slurm gives no such ids


def test_the_users_own_bash_env_is_read(tmp_path: Path) -> None:
    start = tmp_path / "bash env"
    start.write_text("hello() { echo hello; }\n")
    done = simulate(tmp_path, "hello", variables={"BASH_ENV": str(start)})
    assert done.stdout == "hello\n"
