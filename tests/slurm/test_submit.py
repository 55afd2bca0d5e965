"""`slurmkit submit` against a real Slurm: ids, refusals, chains, environments, outer jobs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.test_end_to_end import SLURMKIT, work
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
Ran = subprocess.CompletedProcess[str]


def write(work: Path, name: str, **settings: str) -> Path:
    """Write a job of one process that says what it got."""
    fields = {
        "name": name,
        "resources": "{cpus_per_node: 1, time: 5}",
        "launcher": "{kind: srun}",
        "entrypoint": "{command: [bash, -c, 'echo got ${KEY-nothing}; exit ${CODE:-0}']}",
        **settings,
    }
    path = work / f"{name}.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    return path


def submit(slurm: SlurmCluster, work: Path, *words: str | Path, **env: str) -> Ran:
    """Type `slurmkit submit …`."""
    given = {"XDG_STATE_HOME": str(work / "state"), "SLURMKIT_PROFILE": "none", **env}
    return slurm.run([SLURMKIT, "submit", *words], cwd=work, env=given, timeout=120)


def shown(slurm: SlurmCluster, job: str) -> str:
    return slurm.run(["scontrol", "--oneliner", "show", "job", job]).stdout


def test_the_id_alone_is_on_standard_output(slurm: SlurmCluster, work: Path) -> None:
    ran = submit(slurm, work, write(work, "alone"), "--follow", KEY="k")
    assert ran.returncode == 0, ran.stderr
    id = ran.stdout.removesuffix("\n")
    assert id.isdigit()
    assert f"job {id} (alone) is in the queue" in ran.stderr
    assert re.search(r"rank0 \| got k$", ran.stderr, re.M)
    assert f"job {id} (alone) is COMPLETED" in ran.stderr
    # Where it said that they would be.
    log, directory = (re.search(rf"{key}: +([^,\n]+)", ran.stderr) for key in ("log", "directory"))
    assert log is not None
    assert directory is not None
    assert "meet at" in (work / log[1]).read_text()
    assert (work / directory[1] / "script.sbatch").exists()
    assert submit(slurm, work, "alone.yaml", "--hold", "--json").returncode == 0
    lines = (work / "state" / "slurmkit" / "jobs.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [id, id, str(int(id) + 1)]


def test_a_job_that_fails_is_told_by_the_exit_code(slurm: SlurmCluster, work: Path) -> None:
    ran = submit(slurm, work, write(work, "fails"), "--wait", "--json", CODE="3")
    assert ran.returncode == 1
    told = json.loads(ran.stdout)
    assert (told["name"], told["via"]) == ("fails", "sbatch")
    assert Path(told["log"]) == work / f"slurmkit-{told['id']}.out"
    assert Path(told["directory"]) == work / "runs" / "fails" / told["id"]
    assert f"job {told['id']} (fails) is FAILED" in ran.stderr


def test_held_and_only_tested(slurm: SlurmCluster, work: Path) -> None:
    write(work, "held")
    held = submit(slurm, work, "held.yaml", "--hold").stdout.strip()
    assert "Reason=JobHeldUser" in shown(slurm, held)
    tested = submit(slurm, work, "held.yaml", "--test-only")
    assert tested.returncode == 0, tested.stderr
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\n", tested.stdout)
    assert "on nodes node" in tested.stderr
    queue = slurm.run(["squeue", "--noheader", "--format=%A"]).stdout.split()
    assert queue == [held]
    refused = submit(slurm, work, "held.yaml", "--test-only", "--set", "resources.nodes=9")
    assert refused.returncode == 2
    assert "resources.nodes: Slurm refuses it" in refused.stderr


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


@pytest.mark.parametrize(
    ("sets", "field", "value", "accepted"),
    [
        ("partition=nope", "partition", "nope", "main, preemptible, small, physics, tiny, shut"),
        ("partition=shut", "partition", "shut", "main"),
        ("account=nope", "account", "nope", "root"),
        ("account=root partition=physics", "account", "root", "physics in partition physics"),
        ("qos=nope", "qos", "nope", "normal, short"),
        ("qos=secret", "qos", "secret", "normal, short"),
        ("qos=short time=10", "time", "10", None),
        ("time=20 partition=small", "time", "20", "at most 0:10:00 in partition small"),
        ("nodes=2 partition=small", "nodes", "2", "1 to 1 in partition small"),
        ("nodes=3", "nodes", "3", "1 to 2 in partition main"),
        ("gpus_per_node=1 gpu_type=a100", "gpu_type", "a100", "h200"),
        ("gpus_per_node=9 processes_per_node=1", "gpus_per_node", "9", "at most 4 a node"),
        ("cpus_per_node=99", "cpus_per_node", "99", "at most 8 a node in partition main"),
        ("memory_per_node=99G", "memory_per_node", "99G", "at most 8000M a node"),
        ("memory_per_node=2G partition=tiny", "memory_per_node", "2G", "at most 1000M a node"),
        ("constraint=ib&a100", "constraint", "ib&a100", "ib"),
        ("reservation=nope", "reservation", "nope", "there are none"),
        ("nodelist=node7", "nodelist", "node7", "node1, node2"),
        ("exclude=node[1-2]", "exclude", "node[1-2]", "node1, node2"),
    ],
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


def test_a_chain_waits_for_each_job_before(slurm: SlurmCluster, work: Path) -> None:
    other = submit(slurm, work, write(work, "other"), "--hold").stdout.strip()
    write(work, "first")
    write(work, "second", depends_on=f"{{afterany: [{other}]}}")
    ran = submit(slurm, work, "first.yaml", "second.yaml", "first.yaml", "--chain", "--hold")
    assert ran.returncode == 0, ran.stderr
    one, two, three = ran.stdout.split()
    dependency = re.search(r"Dependency=(\S+)", shown(slurm, two))
    assert dependency is not None
    assert set(re.findall(r"(\w+):(\d+)", dependency[1])) == {("afterok", one), ("afterany", other)}
    assert f"afterok:{two}" in shown(slurm, three)
    assert f"job {three} (first) starts when job {two} (second) has ended well" in ran.stderr
    slurm.run(["scontrol", "release", other, one], check=True)
    slurm.wait(three, "COMPLETED", timeout=60)
    ends = [re.search(r"EndTime=(\S+)", shown(slurm, id)) for id in (one, two, three)]
    assert [end[1] for end in ends if end] == sorted(end[1] for end in ends if end)
    assert f"'{one}'" in (work / "runs" / "second" / two / "job.yaml").read_text()


def test_a_chain_is_submitted_whole_or_not_at_all(slurm: SlurmCluster, work: Path) -> None:
    write(work, "good")
    write(work, "refused", resources="{cpus_per_node: 1, partition: nope}")
    write(work, "wrong", environment="{pass: [NOWHERE]}")
    ran = submit(slurm, work, "good.yaml", "wrong.yaml", "refused.yaml", "--chain")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "wrong.yaml:5:22: environment.pass[0]: NOWHERE is not set here" in ran.stderr
    assert "cancelled" not in ran.stderr, "nothing was submitted"
    ran = submit(slurm, work, "good.yaml", "good.yaml", "refused.yaml", "--chain")
    assert (ran.returncode, ran.stdout) == (2, "")
    cancelled = re.findall(r"job (\d+) \(good\) was cancelled", ran.stderr)
    assert len(cancelled) == 2
    assert "refused.yaml:2:31: resources.partition: Slurm refuses it" in ran.stderr
    for id in cancelled:
        slurm.wait(id, "CANCELLED", timeout=30)


def test_a_chain_ends_with_the_first_job_that_fails(slurm: SlurmCluster, work: Path) -> None:
    write(work, "fails")
    ran = submit(slurm, work, "fails.yaml", "fails.yaml", "--chain", "--wait", CODE="3")
    assert ran.returncode == 1
    one, two = ran.stdout.split()
    assert f"job {one} (fails) is FAILED" in ran.stderr
    assert f"job {two} (fails) is CANCELLED" in ran.stderr


def test_submitted_from_inside_a_job(slurm: SlurmCluster, work: Path) -> None:
    program = "'env | grep -E \"^(SLURM|SRUN|PET)_\"; echo launched; sleep 0.1'"
    write(
        work,
        "inner",
        resources="{nodes: 2, processes_per_node: 2, memory_per_node: 500M}",
        entrypoint=f"{{command: [bash, -c, {program}]}}",
    )
    state = f"XDG_STATE_HOME={work / 'state'}"
    line = f"{state} PET_OUTER=1 {SLURMKIT} submit --profile none inner.yaml --wait"
    # The job's settings contradict those of the job that is submitted from it.
    outer = ["salloc", "-N1", "-n3", "-c2", "--mem-per-cpu=200", "--gpus-per-node=1", "srun", "-n1"]
    ran = slurm.run([*outer, "bash", "-c", line], cwd=work, timeout=120)
    assert ran.returncode == 0, ran.stderr
    id = ran.stdout.strip()
    assert id.isdigit(), ran.stdout
    logs = "".join(path.read_text() for path in work.glob(f"runs/inner/{id}/logs/*"))
    assert logs.count("launched") == 4
    assert set(re.findall(r"^SLURM_NTASKS=(\d+)", logs, re.M)) == {"4"}
    assert set(re.findall(r"^SLURM_JOB_ID=(\d+)", logs, re.M)) == {id}
    assert not re.search(r"^(PET_OUTER|SLURM_MEM_PER_CPU|SLURM_CPUS_PER_TASK)", logs, re.M)
    assert "SLURM_JOB_GPUS" not in logs


def test_passed_variables_reach_a_job_whose_site_hands_nothing_on(
    slurm: SlurmCluster, work: Path
) -> None:
    write(work, "keyed", environment="{pass: [KEY]}")
    site = {"SBATCH_EXPORT": "NONE", "KEY": "s3 cret"}
    id = submit(slurm, work, "keyed.yaml", "--wait", **site).stdout.strip()
    assert "got s3 cret" in (work / f"runs/keyed/{id}/logs/node1.rank0.log").read_text()
    assert "s3 cret" not in (work / f"runs/keyed/{id}/script.sbatch").read_text()
    write(work, "other")
    id = submit(slurm, work, "other.yaml", "--wait", **site).stdout.strip()
    assert "got nothing" in (work / f"runs/other/{id}/logs/node1.rank0.log").read_text()


def test_large_scripts(slurm: SlurmCluster, work: Path) -> None:
    def sized(name: str, size: int) -> Path:
        text = f"{{module: m, config: {{data: {'x' * size}}}}}"
        return write(work, name, entrypoint=text)

    ran = submit(slurm, work, sized("large", 400_000), "--hold")  # more than an argument may have
    assert ran.returncode == 0, ran.stderr[-500:]
    ran = submit(slurm, work, sized("huge", 2_500_000).name)
    assert ran.returncode == 2
    assert "huge.yaml:4:" in ran.stderr
    assert "entrypoint.config: Slurm refuses it" in ran.stderr


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
