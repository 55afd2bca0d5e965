"""The pretend nodes: their names and addresses, and where each task of a step goes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


def node_name(index: int) -> str:
    """Return the name of node `index`: node0, node1 and so on."""
    return f"node{index}"


def node_address(index: int) -> str:
    """Return the address of node `index`: 127.0.0.1, 127.0.0.2, … (Linux has all of 127/8)."""
    return str(ipaddress.IPv4Address("127.0.0.1") + index)


def node_list(indices: list[int]) -> str:
    """Write nodes as Slurm does: node0, node[0-3], node[0,2]."""
    if len(indices) == 1:
        return node_name(indices[0])
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    parts = (f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"node[{','.join(parts)}]"


def repeated(counts: list[int]) -> str:
    """Write a number a node as Slurm does: [2, 2, 1] is 2(x2),1."""
    groups: list[tuple[int, int]] = []
    for count in counts:
        if groups and groups[-1][0] == count:
            groups[-1] = (count, groups[-1][1] + 1)
        else:
            groups.append((count, 1))
    return ",".join(f"{count}(x{times})" if times > 1 else str(count) for count, times in groups)


@dataclass(frozen=True)
class Task:
    """One task of a step and its place."""

    rank: int
    """SLURM_PROCID: its number among all tasks of the step."""
    local_rank: int
    """SLURM_LOCALID: its number among those of its node."""
    node_rank: int
    """SLURM_NODEID: its node's number among those of the step."""
    node: int
    """Its node's number among those of the job."""


def spread(nodes: list[int], tasks: int, room: list[int]) -> list[Task] | None:
    """Place tasks in blocks, as Slurm does by default; None when there is no room for them.

    Each node gets as many as the others, the first ones the odd tasks, as far as its room goes.
    """
    counts = [0] * len(nodes)
    for _ in range(tasks):
        open_nodes = [index for index, count in enumerate(counts) if count < room[index]]
        if not open_nodes:
            return None
        counts[min(open_nodes, key=counts.__getitem__)] += 1
    placed: list[Task] = []
    for node_rank, (node, count) in enumerate(zip(nodes, counts, strict=True)):
        placed += [Task(len(placed) + rank, rank, node_rank, node) for rank in range(count)]
    return placed
