"""What Slurm's commands say on clusters of different kinds."""

from __future__ import annotations

from slurmkit.init.cluster import Cluster, read_cluster

CONFIG = """\
Configuration data as of 2026-01-01T00:00:00
ClusterName             = big
SelectType              = select/cons_tres
SLURM_VERSION           = 23.11.10
"""

# In the form of `sinfo --format=%P|%a|%l|%s|%D|%c|%G|%T`.
MIXED = """\
cpu*|up|7-00:00:00|1-infinite|900|128|(null)|idle
debug|up|30:00|1-4|8|64|gpu:a100:4(S:0-1)|idle
gpu|up|1-00:00:00|1-32|120|64|gpu:a100:4(S:0-1),nvme:1|idle
gpu|up|1-00:00:00|1-32|16|96|gpu:h100:8(S:0-1)|idle
long|up|14-00:00:00|1-2|40|64|gpu:a100:4(S:0-1)|idle
old|down|1-00:00:00|1-infinite|400|32|gpu:v100:4|idle
"""
CPU_ONLY = "all*|up|infinite|1-infinite|40+|64+|(null)|idle\n"
ONE_NODE = "main*|up|2:00:00|1-1|1|16|gpu:2|idle\n"

ACCOUNTS = """\
other|elsewhere|physics
big|physics|physics
big|chemistry|physics
big|chemistry|physics
"""


def mixed() -> Cluster:
    """Return a cluster with CPU nodes by default, and two kinds of GPU nodes."""
    return cluster(MIXED)


def cluster(nodes: str) -> Cluster:
    """Return a cluster with these nodes."""
    found = read_cluster(nodes, CONFIG, ACCOUNTS)
    assert found is not None
    return found
