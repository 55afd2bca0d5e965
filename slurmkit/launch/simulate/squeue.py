"""The stand-in squeue: end time, state and id of the one job, or array task, that runs."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime

from slurmkit.launch.simulate.cluster import Cluster, fail

_USAGE = (
    "slurmkit simulate knows `squeue -h -j JOB_ID` with -O restartcnt, "
    "or with -o FORMAT and %A, %e, %i and %T in FORMAT"
)


def main() -> None:
    """Print the job in the format asked for."""
    cluster = Cluster.here()
    text = " ".join(sys.argv[1:])
    match = re.fullmatch(
        r"(?:-h|--noheader) (?:-j|--jobs?)[ =]?(\d+(?:_\d+)?) "
        r"(?:(?:-o|--format)[ =]?(.+)|-O restartcnt)",
        text,
    )
    if match is None or re.search(r"%[^AeiT]", match[2] or ""):
        fail("squeue", f"{text}: {_USAGE}")
    job = cluster.job()
    if match[1] not in (str(job.id), job.full_id):
        fail("slurm_load_jobs", f"Invalid job id specified: this simulation's job is {job.full_id}")
    values = {
        "%e": datetime.fromtimestamp(job.end).isoformat(),
        "%A": str(job.id),
        "%i": job.full_id,
        "%T": cluster.state(),
    }
    if match[2] is None:
        print(os.environ.get("SLURM_RESTART_COUNT", "0"))
    else:
        print(re.sub("%[AeiT]", lambda found: values[found[0]], match[2]))
