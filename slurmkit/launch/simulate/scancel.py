"""The stand-in scancel: ends the job as Slurm does, SIGTERM first."""

from __future__ import annotations

import sys
import time

from slurmkit.launch.simulate.cluster import Cluster, fail


def main() -> None:
    """Ask for the end of the job; return when its state is COMPLETING."""
    cluster = Cluster.here()
    own = str(cluster.job().id)
    if sys.argv[1:] != [own]:
        fail(
            "scancel",
            f"{' '.join(sys.argv[1:])}: slurmkit simulate knows `scancel {own}` only, "
            "the job of this simulation",
        )
    cluster.request("cancel")
    while cluster.state() == "RUNNING":
        time.sleep(0.01)
