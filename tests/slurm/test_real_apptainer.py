"""Jobs in a real apptainer on a real Slurm: the tests of `test_container` without stand-ins.

Its image is made of empty folders, over which this machine's /usr is mounted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.slurm import programs
from tests.slurm.test_container import (
    PYTHON,
    Host,
    test_a_job_in_a_container_comes_back,
    test_torchrun_in_a_container_over_two_nodes,
)
from tests.slurm.test_end_to_end import job, log_of, run_directory, submit, work
from tests.slurm.test_requeue import poll
from tests.testbed import apptainer
from tests.testbed.cluster import SlurmCluster
from tests.testbed.install import CannotInstallError

__all__ = [
    "test_a_job_in_a_container_comes_back",
    "test_torchrun_in_a_container_over_two_nodes",
    "work",
]
pytestmark = pytest.mark.proof
FOLDERS = ("dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var/tmp")

ENVIRONMENT = """
import json, os, pathlib
path = pathlib.Path(os.environ["SLURMKIT_RUN_DIR"], f"got-{os.environ['RANK']}.json")
path.write_text(json.dumps(dict(os.environ)))
"""


@pytest.fixture
def host(work: Path) -> Host:
    """Give a host with apptainer, and an image in which V is set."""
    try:
        command = apptainer.lay_out()
    except CannotInstallError as error:
        # It comes from Debian's unstable release, whose packages may be gone tomorrow.
        pytest.skip(f"apptainer left out: {error}")
    image = work / "image"
    for name in FOLDERS:
        (image / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (image / name).symlink_to(f"usr/{name}")
    (image / "etc/passwd").write_text("root:x:0:0::/root:/bin/bash\n")
    variables = image / ".singularity.d/env/90-environment.sh"
    variables.parent.mkdir(parents=True)
    path = f"{PYTHON.parent}:/usr/bin:/bin"
    variables.write_text(f"export V=image INSIDE='{image}' PATH='{path}'\n")
    mounts = ["/usr:/usr:ro", *{sys.prefix, sys.base_prefix} - {"/usr"}]
    container = {"runtime": "apptainer", "image": str(image), "mounts": mounts}
    return Host(str(command.parent), {**container, "options": ["--userns"]})


def test_what_the_stand_in_keeps_away_and_lets_through(
    slurm: SlurmCluster, work: Path, host: Host
) -> None:
    path = job(
        work, ENVIRONMENT, container=json.dumps(host.container), launcher="{kind: srun}",
        environment='{variables: {V: "${env:V} of the job"}}',
    )  # fmt: skip
    outside = {"LD_LIBRARY_PATH": "/nowhere", "PLAIN": "it's\n", "V": "host", "HOME": str(work)}
    job_id = submit(slurm, work, path, env={**host.environment, **outside})
    run = run_directory(work, job_id)
    assert len(list(run.glob("got-*"))) == 4, log_of(work, job_id)
    got = json.loads((run / "got-3.json").read_text())
    assert "LD_LIBRARY_PATH" not in got
    assert str(host.path) not in got["PATH"]
    assert (got["V"], got["PLAIN"]) == ("image of the job", "it's\n")
    assert got["HOME"] != str(work), "the user's, as the system knows it"
    assert (got["WORLD_SIZE"], got["SLURM_NNODES"], got["MASTER_ADDR"]) == ("4", "2", "node1")


def test_a_preempted_job_comes_back(slurm: SlurmCluster, work: Path, host: Host) -> None:
    path = job(
        work, programs.STOPPABLE, container=json.dumps(host.container), launcher="{kind: srun}",
        environment="{variables: {LEAVE_WITH: 3, TELL: 0}}", requeue="{lead_time: 60}",
    )  # fmt: skip
    options = ("--set", "resources.partition=preemptible")
    job_id = submit(slurm, work, path, *options, wait=False, env=host.environment)
    poll(slurm, lambda: log_of(work, job_id).count("training") == 4, "training")
    slurm.submit("#!/bin/bash\nsleep 5\n", "--partition=main", "--nodes=2", "--exclusive")
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, "second run", timeout=200)
    slurm.wait(job_id, "COMPLETED", timeout=60)
    assert log_of(work, job_id).count("saved on SIGTERM") == 4
