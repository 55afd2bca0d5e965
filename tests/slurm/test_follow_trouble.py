"""Following jobs while squeue fails, or the controller is away."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.slurm.test_end_to_end import SLURMKIT, work
from tests.slurm.test_follow import Kit, kit, stand_in
from tests.testbed.cluster import SlurmCluster

__all__ = ["kit", "work"]


def test_squeue_that_fails_for_a_moment(slurm: SlurmCluster, work: Path, kit: Kit) -> None:
    id = slurm.submit("#!/bin/bash\nsleep 60\n", cwd=work)
    count, real = work / "count", slurm.run(["which", "squeue"]).stdout.strip()
    weak = stand_in(
        work,
        "squeue",
        f'echo x >> {count}; (($(wc -l < {count}) > 2)) && exec {real} "$@"\n'
        "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
    )
    told = kit("status", id, path_first=weak)
    assert (told.returncode, told.stderr) == (0, "")
    assert f"job {id}" in told.stdout
    assert len(count.read_text().split()) == 3


def test_squeue_that_is_away_leaves_the_word_to_sacct(
    slurm: SlurmCluster, work: Path, kit: Kit
) -> None:
    id = slurm.submit("#!/bin/bash\ntrue\n", "--job-name=short", cwd=work)
    slurm.wait(id, "COMPLETED")
    slurm.sacct(id)
    away = stand_in(work, "squeue", "echo 'squeue: error: no permission' >&2; exit 1")
    told = kit("status", id, path_first=away)
    assert "COMPLETED" in told.stdout
    assert "squeue failed" in told.stderr
    assert "no permission" in told.stderr
    assert id in kit("status", path_first=away).stdout


def test_watched_until_its_end(slurm: SlurmCluster, work: Path) -> None:
    id = slurm.submit("#!/bin/bash\nsleep 1\n", cwd=work)
    told = slurm.run([SLURMKIT, "status", id, "--watch", "--every", "2"], cwd=work)
    assert told.returncode == 0
    assert told.stdout.count(f"job {id}") >= 2
    assert "COMPLETED" in told.stdout.split(f"job {id}")[-1]


@pytest.mark.proof
def test_a_controller_that_restarts_is_waited_for(tmp_path: Path) -> None:
    program = "import sys, slurmkit; print(slurmkit.Job.from_id(sys.argv[1]).wait(120))"
    with SlurmCluster() as slurm:  # its own, not to spoil that of the other tests
        id = slurm.submit("#!/bin/bash\nsleep 8\n", cwd=tmp_path)
        slurm.wait(id, "RUNNING")
        watch = [str(SLURMKIT), "status", id, "--watch", "--every", "2"]
        with (
            slurm.start([sys.executable, "-c", program, id], cwd=tmp_path) as waiting,
            slurm.start(watch, cwd=tmp_path) as watching,
        ):
            time.sleep(2)
            slurm.run(["scontrol", "shutdown", "slurmctld"], check=True)
            time.sleep(6)
            slurm.run(["slurmctld"], check=True)
            out, err = waiting.communicate(timeout=120)
            assert (waiting.returncode, out) == (0, "COMPLETED\n"), err
            out, err = watching.communicate(timeout=120)
            assert watching.returncode == 0, err
            assert "COMPLETED: ended with exit code 0" in out
