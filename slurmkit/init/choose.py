"""From what a cluster has to the partition, nodes and GPUs that a first job asks for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from slurmkit.init.cluster import Cluster, NodeKind, Partition

_SHORT = re.compile("debug|dev|test|interactive|preempt", re.IGNORECASE)
_SLICE = re.compile(r"\d+g\.\d+gb")  # of a GPU, by NVIDIA's MIG
_NODES = 2
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a job goes, and what else there is."""

    partition: Partition
    kind: NodeKind
    nodes: int
    gpu_type: str | None
    gpus: int
    others: tuple[Partition, ...]
    """Other partitions that would do."""
    other_gpus: tuple[tuple[str, int], ...]
    """Other GPU types of the partition, and how many a node has."""


def choose(cluster: Cluster, *, gpus: bool) -> Choice | None:
    """Choose for a job on GPUs or CPUs alone; None where the cluster has no such nodes.

    The default partition, if it will do. Else one that is for work (not for debugging or
    preemptible jobs), with the most fitting nodes and the longest time limit.
    """
    fitting = [part for part in cluster.partitions if _kinds(part, gpus)]
    if not fitting:
        return None
    best, *others = sorted(fitting, key=lambda part: _rank(part, gpus))
    kind = max(_kinds(best, gpus), key=lambda kind: (_whole(kind), kind.count, _most(kind)[1]))
    gpu_type, count = _most(kind) if gpus else ("", 0)
    nodes = min(_NODES, kind.count, best.max_nodes or _NODES)
    if gpus and not _whole(kind):  # NCCL joins no slices
        nodes = count = 1
    types = {other: n for each in best.kinds for other, n in each.gpus.items() if other != gpu_type}
    return Choice(
        partition=best,
        kind=kind,
        nodes=nodes,
        gpu_type=gpu_type or None,
        gpus=count,
        others=tuple(others),
        other_gpus=tuple(types.items()) if gpus else (),
    )


def list_partitions(partitions: Iterable[Partition]) -> str:
    """Name partitions and their time limits, a handful at most."""
    shown = [f"{part.name} ({part.time_limit or 'no limit'})" for part in partitions]
    return ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")


def _kinds(partition: Partition, gpus: bool) -> list[NodeKind]:
    return [kind for kind in partition.kinds if kind.gpus or not gpus]


def _rank(partition: Partition, gpus: bool) -> tuple[bool, bool, bool, int, float]:
    count = sum(kind.count for kind in _kinds(partition, gpus))
    seconds = partition.seconds
    return (
        min(count, partition.max_nodes or count) < _NODES,
        not partition.default,
        bool(_SHORT.search(partition.name)),
        -count,
        -(float("inf") if seconds is None else seconds),
    )


def _whole(kind: NodeKind) -> bool:
    return any(not _SLICE.search(gpu) for gpu in kind.gpus)


def _most(kind: NodeKind) -> tuple[str, int]:
    """Return the GPU type of which a node has most, and how many; slices of GPUs come last."""
    return max(
        kind.gpus.items(), key=lambda item: (not _SLICE.search(item[0]), item[1]), default=("", 0)
    )
