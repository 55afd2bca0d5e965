"""What of an environment reaches the ranks: a real venv, and sites that hand nothing on."""

from __future__ import annotations

import re
import venv
from pathlib import Path

import pytest

from tests.slurm.test_end_to_end import job, log_of, submit, work
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]
SAY = """
import os, sys
print("got", os.environ["V"], os.environ.get("SECRET"), os.environ["WORLD_SIZE"], flush=True)
print("prefix", sys.prefix, flush=True)
"""


def write(work: Path, **settings: str) -> Path:
    settings.setdefault("environment", "{variables: {V: it's}, pass: [SECRET]}")
    return job(work, SAY, launcher="{kind: srun}", **settings)


@pytest.mark.parametrize(
    ("site", "settings"),
    [
        ({"SLURM_EXPORT_ENV": "NONE"}, {}),
        ({}, {"sbatch": "{export: SECRET}"}),
    ],
    ids=["site", "job"],
)
def test_variables_arrive_where_sites_hand_nothing_on(
    slurm: SlurmCluster, work: Path, site: dict[str, str], settings: dict[str, str]
) -> None:
    job_id = submit(slurm, work, write(work, **settings), env={"SECRET": "s3", **site})
    log = log_of(work, job_id)
    assert log.count("got it's s3 4") == 4, log


def test_a_passed_variable_that_the_site_keeps_is_missed_at_once(
    slurm: SlurmCluster, work: Path
) -> None:
    site = {"SECRET": "s3", "SBATCH_EXPORT": "NONE"}
    job_id = submit(slurm, work, write(work), wait=False, env=site)
    slurm.wait(job_id, "FAILED", timeout=60)
    assert "SECRET: must be set where the job is submitted" in log_of(work, job_id)
    path = write(work, environment="{variables: {V: it's}}")
    assert "got it's None 4" in log_of(work, submit(slurm, work, path, env=site))


def test_a_venv_is_used_on_every_node(slurm: SlurmCluster, work: Path) -> None:
    venv.create(work / "my venv", with_pip=False)
    environment = "{venv: ./my venv, variables: {V: v}}"
    log = log_of(work, submit(slurm, work, write(work, environment=environment)))
    assert re.findall(r"prefix (.*)", log) == [str(work / "my venv")] * 4, log
