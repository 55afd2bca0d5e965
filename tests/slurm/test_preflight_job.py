"""The checks on a real Slurm: in a job, alone as a short one, in an allocation, in a container."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.render import runtimes
from tests.slurm.test_preflight import broken
from tests.slurm.test_requeue import poll
from tests.slurm.test_submit import Ran, submit, work, write
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]
SLURMKIT = Path(sys.executable).with_name("slurmkit")
PROGRAM = "{command: [bash, -c, 'echo rank $RANK trains']}"
NODES = "{nodes: 2, processes_per_node: 2, cpus_per_node: 2, time: 5}"


def check(slurm: SlurmCluster, work: Path, *words: str, path: str = "") -> Ran:
    """Type `slurmkit preflight …`."""
    given = {"XDG_STATE_HOME": str(work / "state"), "SLURMKIT_PROFILE": "none"}
    given |= {"PATH": f"{path}:{slurm.env['PATH']}"} if path else {}
    return slurm.run([SLURMKIT, "preflight", *words], cwd=work, env=given, timeout=120)


def test_a_short_job_of_its_own(slurm: SlurmCluster, work: Path) -> None:
    four = "{nodes: 2, processes_per_node: 4, cpus_per_node: 4, time: 5}"
    write(work, "fit", resources=four, entrypoint=PROGRAM, preflight="{free_space: 1M}")
    ran = check(slurm, work, "fit.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    head, *rows = ran.stdout.splitlines()
    every = {"NAMES", "CLOCK", "PORT", "LINKS", "VERSIONS", "STORAGE", "ENTRYPOINT", "RANKS"}
    assert every <= set(head.split())
    assert [row.split()[0] for row in rows[:2]] == ["node1", "node2"]
    took = re.search(r"2 nodes are fine \(([\d.]+) s\)", ran.stdout)
    assert took is not None
    assert float(took[1]) < 15
    assert "(fit-preflight) is in the queue" in ran.stderr
    assert not list(work.glob("runs/fit-preflight/*/logs/*")), "nothing was launched"


def test_a_job_does_not_train_on_nodes_that_are_unfit(slurm: SlurmCluster, work: Path) -> None:
    data = "{checks: [data], data: ['data-${env:SLURMD_NODENAME}']}"
    write(work, "unfit", resources=NODES, entrypoint=PROGRAM, preflight=data)
    (work / "data-node1").write_text("x")
    ran = submit(slurm, work, "unfit.yaml", "--follow")
    assert ran.returncode == 1
    told = ran.stdout + ran.stderr
    assert "[data-missing]" in told
    assert "--exclude=node2" in told
    assert "trains" not in told
    id = ran.stdout.split()[0]
    env = {"XDG_STATE_HOME": str(work / "state")}
    status = slurm.run([SLURMKIT, "status", id], cwd=work, env=env).stdout
    assert "failed     preflight: node2: " in status
    verdict = slurm.run([SLURMKIT, "doctor", id], cwd=work, env=env).stdout
    assert "D110" in verdict
    assert "preflight: node2: cannot read" in verdict
    assert "preflight  attempt 0, code 1" in status


@pytest.mark.proof
def test_a_directory_that_a_node_does_not_see(slurm: SlurmCluster, work: Path) -> None:
    (work / "saved").mkdir()
    wanted = "{checks: [storage], storage: [saved], free_space: 1M}"
    write(work, "apart", resources=NODES, entrypoint=PROGRAM, preflight=wanted)
    for where, told in (("saved", "(tmpfs) does not see"), (".", "the run directory is not there")):
        with broken(
            slurm, "node2", f"mount -t tmpfs none {work}/{where}", f"umount -l {work}/{where}"
        ):
            ran = check(slurm, work, "apart.yaml")
        assert ran.returncode == 1, ran.stdout + ran.stderr
        assert "[not-shared]" in ran.stdout
        assert told in ran.stdout


@pytest.mark.proof
def test_checks_that_are_cancelled_blame_no_node(slurm: SlurmCluster, work: Path) -> None:
    (work / "program.py").write_text("import slow\n")
    (work / "slow.py").write_text("import time\ntime.sleep(60)\n")
    write(work, "cut", resources=NODES, entrypoint="{script: program.py}", preflight="[entrypoint]")
    id = submit(slurm, work, "cut.yaml").stdout.strip()
    run = work / "runs" / "cut" / id
    poll(slurm, (run / "preflight-settings.json").exists, "checks")
    time.sleep(2)
    slurm.run(["scancel", id], check=True)
    output = work / f"slurmkit-{id}.out"
    poll(slurm, lambda: "preflight: stopped" in output.read_text(), "last word of the checks")
    assert "they were waiting for node1, node2" in output.read_text()
    assert not (run / "status.json").exists()
    env = {"XDG_STATE_HOME": str(work / "state")}
    assert "D31" in slurm.run([SLURMKIT, "doctor", id], cwd=work, env=env).stdout


@pytest.mark.proof
def test_in_an_allocation(slurm: SlurmCluster, work: Path) -> None:
    write(work, "here", resources=NODES, entrypoint=PROGRAM)
    command = f"{SLURMKIT} preflight here.yaml --only hosts,network --json"
    env = {"SLURMKIT_PROFILE": "none"}
    words = ["salloc", "--nodes=2", "--cpus-per-task=2", "--time=5", "bash", "-c", command]
    ran = slurm.run(words, cwd=work, env=env, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["nodes"] == ["node1", "node2"]
    assert "slurmkit: on the nodes of job " in ran.stderr


@pytest.mark.proof
@pytest.mark.parametrize("runtime", ["pyxis", "apptainer"])
def test_in_a_container(slurm: SlurmCluster, work: Path, runtime: str) -> None:
    folder = work / "bin"
    folder.mkdir()
    srun = shutil.which("srun")
    assert srun is not None
    runtimes.write_apptainer(folder)
    runtimes.write_pyxis(folder, srun)
    path = f"{Path(sys.executable).parent}:{folder}:/usr/bin:/bin"
    runtimes.write_image(work / "image", path, DATA=str(work / "in-the-image"))
    (work / "in-the-image").write_text("x")
    container = f"{{runtime: {runtime}, image: ./image}}"
    write(
        work, "inside", resources=NODES, entrypoint=PROGRAM, container=container,
        preflight="{checks: [hosts, versions, data], data: ['${env:DATA}']}",
    )  # fmt: skip
    ran = check(slurm, work, "inside.yaml", path=path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
