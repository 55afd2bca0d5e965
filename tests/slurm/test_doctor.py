"""Real jobs, broken on the real Slurm in many ways: `slurmkit doctor` names the first cause."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.broken import BROKEN, QUICK, RAW, Broken, Raw
from tests.slurm.faults import resume_node
from tests.slurm.test_end_to_end import SLURMKIT, submit, work
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED")


@dataclass
class Ward:
    """Jobs that have died, by the way in which they did."""

    slurm: SlurmCluster
    work: Path
    ids: dict[str, str]

    @classmethod
    def of(cls, slurm: SlurmCluster, work: Path, jobs: Mapping[str, Broken | Raw]) -> Ward:
        """Submit jobs all at once, and wait until they are dead."""
        ids = {}
        for number, (name, one) in enumerate(jobs.items()):
            here = work / f"case{number}"
            here.mkdir()
            here.chmod(0o777)
            start = start_broken if isinstance(one, Broken) else start_raw
            ids[name] = start(slurm, here, one)
        end = time.monotonic() + 240
        for name, id in ids.items():
            while slurm.job_state(id) not in OVER:
                assert time.monotonic() < end, f"{name} lives: {slurm.job_state(id)}"
                time.sleep(0.5)
            slurm.sacct(id)
        return cls(slurm, work, ids)

    def verdict(self, name: str) -> dict[str, Any]:
        """Ask the doctor for the first cause of one."""
        return diagnose(self.slurm, self.work, self.ids[name])


def start_broken(slurm: SlurmCluster, here: Path, one: Broken | Raw) -> str:
    """Submit a job of slurmkit's; return its id."""
    assert isinstance(one, Broken)
    (here / "program.py").write_text(one.text(), encoding="utf-8")
    (here / "job.yaml").write_text(
        "name: broken\n"
        f"resources: {{nodes: 2, processes_per_node: {one.processes}, cpus_per_node: 2, time: 4}}\n"
        f"launcher: {{kind: {one.launcher}}}\n"
        f"entrypoint: {{script: {here / 'program.py'}}}\n",
        encoding="utf-8",
    )
    return submit(slurm, here, here / "job.yaml", wait=False)


def start_raw(slurm: SlurmCluster, here: Path, one: Broken | Raw) -> str:
    """Submit a batch script; return its id."""
    path = f"PATH={Path(sys.executable).parent}:$PATH\n"
    script = one.text().replace("\n", f"\n{path}", 1)
    options = ["--nodes=2", "--time=2", *(one.options if isinstance(one, Raw) else ())]
    return slurm.submit(script, *options, cwd=here)


def diagnose(slurm: SlurmCluster, work: Path, *words: str) -> dict[str, Any]:
    """Return the doctor's first finding."""
    ran = slurm.run([SLURMKIT, "doctor", *words, "--json"], cwd=work, timeout=60)
    assert ran.returncode == 0, ran.stderr
    findings = json.loads(ran.stdout)["findings"]
    assert findings, f"no sign of failure: {ran.stdout}"
    first = findings[0]
    assert isinstance(first, dict)
    return first


@pytest.fixture(scope="module")
def quick(slurm: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Ward:
    return Ward.of(slurm, tmp_path_factory.mktemp("quick"), QUICK)


def check(found: dict[str, Any], expected: Broken | Raw) -> None:
    """Hold a verdict to what was done to the job."""
    shown = json.dumps(found, indent=1)
    assert expected.code in (found["cause"], found["detail"]), shown
    if isinstance(expected, Broken) and expected.rank is not None:
        assert found["rank"] == expected.rank, shown
    if expected.node is not None:
        assert found["node"] == expected.node, shown
    assert all((found["evidence"], found["meaning"], found["fix"])), shown


@pytest.mark.parametrize("name", QUICK)
def test_what_kills_a_job_is_named(quick: Ward, name: str) -> None:
    check(quick.verdict(name), QUICK[name])


@pytest.mark.proof
def test_each_way_for_a_job_to_die_is_named(slurm: SlurmCluster, tmp_path: Path) -> None:
    """All in one test: the jobs, and scripts without slurmkit, run beside one another."""
    every: dict[str, Broken | Raw] = {**BROKEN, **RAW}
    ward = Ward.of(slurm, tmp_path, every)
    wrong: dict[str, str] = {}
    for name, expected in every.items():
        try:
            check(ward.verdict(name), expected)
        except AssertionError as error:
            wrong[name] = str(error)
    assert not wrong, wrong


@pytest.mark.proof
def test_a_cancelled_job(slurm: SlurmCluster, work: Path) -> None:
    id = slurm.submit("#!/bin/bash\nsrun sleep 600\n", "--nodes=2", cwd=work)
    slurm.wait(id, "RUNNING")
    time.sleep(2)
    slurm.run(["scancel", id])
    slurm.wait(id, "CANCELLED")
    assert diagnose(slurm, work, id)["cause"] == "D31"


@pytest.mark.proof
def test_jobs_that_never_started(slurm: SlurmCluster, work: Path) -> None:
    script = "#!/bin/bash\nhostname\n"
    failed = slurm.submit("#!/nowhere/bash\n", "--nodes=1", cwd=work)
    slurm.wait(failed, "FAILED")
    found = diagnose(slurm, work, failed)
    assert (found["cause"], found["node"]) == ("D40", "node1"), found
    waits = slurm.submit(script, f"--dependency=afterok:{failed}", cwd=work)
    later = slurm.submit(script, "--begin=now+1hour", cwd=work)
    told = slurm.run([SLURMKIT, "doctor", later], cwd=work)
    assert told.returncode == 2
    assert f"job {later} has not started yet" in told.stderr
    slurm.run(["scancel", later])
    slurm.wait(later, "CANCELLED")
    slurm.sacct(later)
    found = diagnose(slurm, work, later)
    assert (found["cause"], found["rank"]) == ("D31", None), found

    def reason() -> bool:
        shown = slurm.run(["squeue", "--noheader", "--format=%r", f"--jobs={waits}"])
        return "DependencyNeverSatisfied" in shown.stdout

    poll(slurm, reason, "the scheduler's word on a dependency", timeout=90)
    found = diagnose(slurm, work, waits)
    assert (found["cause"], found["rank"]) == ("D96", None), found


@pytest.mark.proof
def test_a_rank_whose_end_was_hidden_and_the_time_limit(slurm: SlurmCluster, work: Path) -> None:
    text = "import os, time\nif os.environ['RANK'] == '1': raise OSError(5)\ntime.sleep(600)\n"
    (work / "program.py").write_text(text)
    (work / "run.sh").write_text("python program.py || true\n")
    (work / "job.yaml").write_text(
        "name: hidden\nresources: {nodes: 2, processes_per_node: 1, cpus_per_node: 2, time: 1}\n"
        "launcher: {kind: srun}\nentrypoint: {command: [bash, run.sh]}\n"
    )
    id = submit(slurm, work, work / "job.yaml", wait=False)
    slurm.wait(id, "TIMEOUT", timeout=170)
    found = diagnose(slurm, work, id)
    assert (found["cause"], found["rank"], found["confidence"]) == ("D50", 1, "medium"), found


@pytest.mark.proof
def test_a_preempted_job(slurm: SlurmCluster, work: Path) -> None:
    # A script that ends with its step leaves no word of a preemption with a grace time.
    script = "#!/bin/bash\nsrun sleep 600\nsleep 600\n"
    options = ["--nodes=2", "--exclusive", "--no-requeue"]
    id = slurm.submit(script, *options, "--partition=preemptible", cwd=work)
    slurm.wait(id, "RUNNING")
    time.sleep(2)
    urgent = slurm.submit("#!/bin/bash\nsleep 1\n", *options, "--partition=main", cwd=work)
    poll(slurm, lambda: slurm.job_state(id) in OVER, "preemption", timeout=90)
    assert diagnose(slurm, work, id)["cause"] == "D32"
    slurm.wait(urgent, "COMPLETED")


@pytest.mark.proof
def test_a_failed_node(slurm: SlurmCluster, work: Path) -> None:
    script = "#!/bin/bash\nsrun sleep 600\n"
    id = slurm.submit(script, "--nodes=2", "--no-requeue", cwd=work)
    slurm.wait(id, "RUNNING")
    time.sleep(2)
    slurm.cut("node2")
    try:
        poll(slurm, lambda: slurm.job_state(id) in OVER, "node failure", timeout=150)
        found = diagnose(slurm, work, id)
    finally:
        slurm.restore("node2")
        resume_node(slurm, "node2")
    assert (found["cause"], found["node"]) == ("D32", "node2"), found


@pytest.mark.parametrize(
    ("script", "options", "code"),
    [
        ("#!/bin/bash\r\nhostname\r\n", [], "D45"),
        ("#!/bin/bash\nhostname\n", ["--partition=nope"], "D63"),
        ("#!/bin/bash\nhostname\n", ["--mem=900G"], "D34"),
        ("#!/bin/bash\nhostname\n", ["--gres=nosuch:4"], "D35"),
        ("#!/bin/bash\nhostname\n", ["--cpus-per-gpu"], "D79"),
    ],
)
def test_what_sbatch_says_of_a_job_that_it_refuses(
    slurm: SlurmCluster, work: Path, script: str, options: list[str], code: str
) -> None:
    said = slurm.run(["sbatch", *options], input=script, cwd=work)
    assert said.returncode != 0
    (work / "sbatch.log").write_text(said.stderr, encoding="utf-8")
    assert diagnose(slurm, work, "--log", "sbatch.log")["cause"] == code, said.stderr
