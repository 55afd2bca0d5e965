"""Jobs in containers on a real Slurm, with stand-ins for apptainer and pyxis.

The stand-ins take of the host's environment what the real ones take; see `tests.render.runtimes`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.render import runtimes
from tests.slurm import programs
from tests.slurm.test_end_to_end import job, log_of, run_directory, submit, work
from tests.slurm.test_requeue import events, poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]
PYTHON = Path(sys.executable)
HOSTILE = ["it's", "$HOME", '"q" `x` $(x)', "a\nb\n", "\\", "é *", ""]

# Says what came through, beside what programs.HELLO says.
REPORT = (
    programs.HELLO
    + """
import json, pathlib, sys
got = {"args": sys.argv[1:], "v": os.environ["V"], "inside": os.environ["INSIDE"]}
path = pathlib.Path(os.environ["SLURMKIT_RUN_DIR"], f"got-{os.environ['RANK']}.json")
path.write_text(json.dumps(got))
"""
)


@dataclass(frozen=True)
class Host:
    """A login host with a runtime on its PATH, and a job file's `container` for it."""

    path: str
    container: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """What a user has there."""
        return {"PATH": f"{PYTHON.parent}:{self.path}:/usr/local/bin:/usr/bin:/bin"}


@pytest.fixture(params=["pyxis", pytest.param("apptainer", marks=pytest.mark.proof)])
def host(request: pytest.FixtureRequest, work: Path) -> Host:
    """Give a host with stand-ins, and an image in which V is set."""
    folder = work / "bin"
    folder.mkdir()
    srun = shutil.which("srun")
    assert srun is not None
    runtimes.write_apptainer(folder)
    runtimes.write_pyxis(folder, srun)
    image = runtimes.write_image(work / "image", f"{PYTHON.parent}:/usr/bin:/bin", V="image")
    return Host(str(folder), {"runtime": request.param, "image": str(image)})


def test_torchrun_in_a_container_over_two_nodes(
    slurm: SlurmCluster, work: Path, host: Host
) -> None:
    variables = json.dumps({"variables": {"V": HOSTILE[2]}})
    path = job(work, REPORT, container=json.dumps(host.container), environment=variables)
    args = ("--set", f"entrypoint.args={json.dumps(HOSTILE)}")
    job_id = submit(slurm, work, path, *args, env=host.environment)
    log = log_of(work, job_id)
    assert slurm.sacct(job_id)["job"]["State"] == "COMPLETED", log
    worlds = re.findall(r"world 4 rank (\d) on (node\d)", log)
    assert sorted(worlds) == [(str(rank), f"node{rank // 2 + 1}") for rank in range(4)], log
    run = run_directory(work, job_id)
    expected = {"args": HOSTILE, "v": HOSTILE[2], "inside": str(work / "image")}
    assert [json.loads((run / f"got-{rank}.json").read_text()) for rank in range(4)] == [
        expected
    ] * 4
    assert sorted(path.name for path in (run / "logs").iterdir()) == [
        f"node{rank // 2 + 1}.rank{rank}.log" for rank in range(4)
    ]


def test_a_job_in_a_container_comes_back(slurm: SlurmCluster, work: Path, host: Host) -> None:
    path = job(
        work,
        programs.STOPPABLE,
        container=json.dumps(host.container),
        environment="{variables: {LEAVE_WITH: 3, TELL: 0}}",
        launcher="{kind: srun}",
        requeue="{lead_time: 60}",
    )
    job_id = submit(slurm, work, path, wait=False, env=host.environment)
    poll(slurm, lambda: log_of(work, job_id).count("training") == 4, f"training in {job_id}")
    # What --signal=B:USR1@60 makes Slurm do.
    slurm.run(["scancel", "--batch", "--signal=USR1", job_id])
    poll(slurm, lambda: "requeued" in events(work, job_id), "requeue", timeout=90)
    poll(slurm, lambda: log_of(work, job_id).count("resumed 1") == 4, "second run", timeout=150)
    slurm.wait(job_id, "COMPLETED", timeout=60)
    assert log_of(work, job_id).count("saved on SIGUSR1") == 4
