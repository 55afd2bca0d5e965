"""`slurmkit submit --chain` against a real Slurm."""

from __future__ import annotations

import re
from pathlib import Path

from tests.slurm.test_end_to_end import work
from tests.slurm.test_submit import shown, submit, write
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]


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
    assert f"it never ran: job {one} (fails) had not ended well" in ran.stderr
    assert f"logs {two}" not in ran.stderr.split("is FAILED")[1], "it has none"
