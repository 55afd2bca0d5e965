"""The stand-in scontrol: `show hostnames` and `requeue`."""

from __future__ import annotations

import os
import re
import signal
import sys

from slurmkit.launch.simulate.cluster import Cluster, fail
from slurmkit.launch.simulate.nodes import node_address
from slurmkit.slurm.hostlist import expand_nodelist
from slurmkit.slurm.scalars import GrammarError


def main() -> None:
    """Do what the words say, or refuse."""
    cluster = Cluster.here()
    words = sys.argv[1:]
    if words[:2] == ["show", "hostnames"]:
        _show_hostnames(words[2] if len(words) > 2 else os.environ.get("SLURM_JOB_NODELIST", ""))
    elif words[:1] == ["requeue"] and len(words) == 2:
        _requeue(cluster, words[1])
    else:
        fail(
            "scontrol",
            f"{' '.join(words)}: slurmkit simulate knows `show hostnames [LIST]` "
            "and `requeue JOB_ID` only",
        )


def _show_hostnames(nodes: str) -> None:
    """Print a line a node: its address, under which the other nodes find it."""
    try:
        for name in expand_nodelist(nodes):
            own = re.fullmatch(r"node(\d+)", name)
            print(node_address(int(own[1])) if own else name)
    except GrammarError as error:
        fail("scontrol", str(error))


def _requeue(cluster: Cluster, job_id: str) -> None:
    """Ask for the job to run again; like all of it, this process is then ended."""
    job = cluster.job()
    if job_id not in (str(job.id), job.full_id):
        fail(
            "scontrol",
            f"requeue {job_id}: Invalid job id specified; this simulation's job is {job.full_id}",
        )
    cluster.request("requeue")
    signal.pause()
