"""What a strict Slurm refuses, and a controller that is away, as `slurmkit submit` tells it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.test_end_to_end import SLURMKIT, work
from tests.slurm.test_submit import submit, write
from tests.testbed.cluster import SlurmCluster
from tests.testbed.install import reason_missing
from tests.testbed.left_out import leave_out

__all__ = ["work"]

LIMITS = """\
GresTypes=gpu
EnforcePartLimits=ALL
AccountingStorageEnforce=associations,limits,qos
Licenses=matlab:3
"""
PARTITIONS = (
    "small MaxTime=10 MaxNodes=1",
    "physics AllowAccounts=physics",
    "tiny MaxMemPerNode=1000 MaxCPUsPerNode=2",
    "shut State=INACTIVE",
)


@pytest.fixture(scope="module")
def strict() -> Iterator[SlurmCluster]:
    """Give a cluster that refuses at once what its limits do not allow, as many sites do."""
    if reason := reason_missing():
        leave_out(reason)
    with SlurmCluster() as cluster:
        conf = cluster.bed.layout.slurm_conf
        conf.write_text(conf.read_text().replace("GresTypes=gpu\n", LIMITS))
        cluster.run(["scontrol", "shutdown", "slurmctld"], check=True)
        with controller(cluster):
            for partition in PARTITIONS:
                name, *limits = partition.split()
                create = ["scontrol", "create", f"PartitionName={name}", "Nodes=ALL", *limits]
                cluster.run(create, check=True)
            for words in (
                "add qos short MaxWall=5 flags=DenyOnLimit",
                "add qos secret",
                "modify user root set qos+=short",
            ):
                cluster.run(["sacctmgr", "--immediate", *words.split()], check=True)
            cluster.run(["scontrol", "update", "NodeName=node1", "Features=ib"], check=True)
            yield cluster


class controller:  # noqa: N801
    """A slurmctld that this test starts, and stops."""

    def __init__(self, cluster: SlurmCluster) -> None:
        self._cluster = cluster

    def __enter__(self) -> None:
        time.sleep(0.3)
        self._process = self._cluster.start(["slurmctld", "-D"])
        for _ in range(100):
            if "is UP" in self._cluster.run(["scontrol", "ping"]).stdout:
                return
            time.sleep(0.1)
        raise AssertionError(self._cluster.logs())

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)  # nsenter stops when its child is stopped
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.communicate()


REFUSED = [
    ("partition=nope", "partition", "nope", "main, preemptible, small, physics, tiny, shut"),
    ("account=nope", "account", "nope", "root"),
    ("account=root partition=physics", "account", "root", "physics in partition physics"),
    ("qos=nope", "qos", "nope", "normal, short"),
    ("qos=short time=10", "time", "10", None),
    ("nodes=2 partition=small", "nodes", "2", "1 to 1 in partition small"),
    ("nodes=3", "nodes", "3", "1 to 2 in partition main"),
    ("gpus_per_node=1 gpu_type=a100", "gpu_type", "a100", "h200"),
    ("memory_per_node=99G", "memory_per_node", "99G", "at most 8000M a node"),
    ("constraint=ib&a100", "constraint", "ib&a100", "ib"),
    ("reservation=nope", "reservation", "nope", "there are none"),
]
AS_WELL = [  # each under a rule that another one has been refused by
    ("partition=shut", "partition", "shut", "main"),
    ("qos=secret", "qos", "secret", "normal, short"),
    ("time=20 partition=small", "time", "20", "at most 0:10:00 in partition small"),
    ("gpus_per_node=9 processes_per_node=1", "gpus_per_node", "9", "at most 4 a node"),
    ("cpus_per_node=99", "cpus_per_node", "99", "at most 8 a node in partition main"),
    ("memory_per_node=2G partition=tiny", "memory_per_node", "2G", "at most 1000M a node"),
    ("nodelist=node7", "nodelist", "node7", "node1, node2"),
    ("exclude=node[1-2]", "exclude", "node[1-2]", "node1, node2"),
]


@pytest.mark.parametrize(
    ("sets", "field", "value", "accepted"),
    [*REFUSED, *(pytest.param(*row, marks=pytest.mark.proof) for row in AS_WELL)],
)
def test_a_refusal_names_the_field_its_place_and_what_the_cluster_accepts(
    strict: SlurmCluster,
    work: Path,
    sets: str,
    field: str,
    value: str,
    accepted: str | None,
) -> None:
    given = dict(word.split("=", 1) for word in sets.split())
    lines = [f"  {key}: {text}" for key, text in {"cpus_per_node": "1", **given}.items()]
    path = write(work, "refused", resources="\n" + "\n".join(lines))
    ran = submit(strict, work, path.name)
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    line = path.read_text().splitlines().index(f"  {field}: {value}") + 1
    assert f"refused.yaml:{line}:" in ran.stderr
    assert f"resources.{field}: Slurm refuses it: " in ran.stderr
    assert re.search(rf"value: +{re.escape(value)}$", ran.stderr, re.M), ran.stderr
    assert ran.stderr.count("Slurm refuses it") == 1, ran.stderr
    expected = re.search(r"expected: +(.*)", ran.stderr)
    assert (expected and expected[1].startswith(accepted)) if accepted else not expected, ran.stderr


def test_other_options_and_limits_that_are_not_the_jobs(strict: SlurmCluster, work: Path) -> None:
    options = "{licenses: 'matlab:9', kill-on-invalid-dep: 'yes'}"
    ran = submit(strict, work, write(work, "licensed", sbatch=options).name)
    assert "licensed.yaml:5:10: sbatch.licenses: Slurm refuses it: Invalid license" in ran.stderr
    assert re.search("expected: +matlab", ran.stderr)
    ran = submit(strict, work, write(work, "mailed", sbatch="{mail-type: NEVER}").name)
    assert "mailed.yaml:5:10: sbatch.mail-type: Slurm refuses it: Invalid" in ran.stderr
    ran = submit(strict, work, write(work, "own"), SBATCH_PARTITION="nope")
    assert ran.stderr.startswith("SBATCH_PARTITION, set in the environment: resources.partition:")
    strict.run(["sacctmgr", "-i", "modify", "user", "root", "set", "MaxSubmitJobs=1"], check=True)
    try:
        assert submit(strict, work, "own.yaml", "--hold").returncode == 0
        ran = submit(strict, work, "own.yaml")
    finally:
        strict.run(["sacctmgr", "-i", "modify", "user", "root", "set", "MaxSubmitJobs=-1"])
        strict.run(["scancel", "--user=root"])
    assert ran.returncode == 1
    assert "Slurm says: AssocMaxSubmitJobLimit" in ran.stderr
    assert "as many jobs in the queue as you may" in ran.stderr


@pytest.mark.proof
def test_a_silent_controller_is_not_asked_twice(strict: SlurmCluster, work: Path) -> None:
    write(work, "once")
    find = ["pgrep", "-x", "slurmctld"]
    pids = strict.run(find, check=True).stdout.split()
    strict.run(["kill", "-STOP", *pids], check=True)
    try:
        ran = submit(strict, work, "once.yaml")
    finally:
        strict.run(["kill", "-CONT", *pids], check=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "the job may be in the queue all the same" in ran.stderr
    assert "squeue --user=$USER --name=once" in ran.stderr
    jobs = ["squeue", "--noheader", "--name=once", "--states=all", "--format=%A"]
    for _ in range(100):
        if found := strict.run(jobs).stdout.split():
            break
        time.sleep(0.1)
    assert len(found) == 1, "it was in the queue all the same, and once"


@pytest.mark.proof
def test_a_controller_that_is_away_is_waited_for(strict: SlurmCluster, work: Path) -> None:
    write(work, "later")
    given = {"XDG_STATE_HOME": str(work / "state"), "SLURMKIT_PROFILE": "none"}
    strict.run(["bash", "-c", "scontrol shutdown slurmctld"], check=True)
    process = strict.start([SLURMKIT, "submit", "later.yaml"], cwd=work, env=given)
    time.sleep(10)  # sbatch itself tries for nine seconds
    with controller(strict):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.strip().isdigit()
        assert "Slurm's controller is away; trying again" in err
