"""The stand-in squeue: end time, state and id of the one job there is."""

from __future__ import annotations

import re
import sys
from datetime import datetime

from slurmkit.launch.simulate.cluster import Cluster, fail

_USAGE = "slurmkit simulate knows `squeue -h -j JOB_ID -o FORMAT` with %e, %i and %T in FORMAT only"


def main() -> None:
    """Print the job in the format asked for."""
    cluster = Cluster.here()
    text = " ".join(sys.argv[1:])
    match = re.fullmatch(
        r"(?:-h|--noheader) (?:-j|--jobs?)[ =]?(\d+) (?:-o|--format)[ =]?(\S+)", text
    )
    if match is None or re.search(r"%[^eiT]", match[2]):
        fail("squeue", f"{text}: {_USAGE}")
    job = cluster.job()
    if match[1] != str(job.id):
        fail("slurm_load_jobs", f"Invalid job id specified: this simulation's job is {job.id}")
    values = {
        "%e": datetime.fromtimestamp(job.end).isoformat(),
        "%i": str(job.id),
        "%T": cluster.state(),
    }
    print(re.sub("%[eiT]", lambda found: values[found[0]], match[2]))
