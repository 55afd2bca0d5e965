"""What the demo does on each rank: say who it is, check one sum, measure, report."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from slurmkit.train.all_reduce.bandwidth import Bandwidth, measure, table
from slurmkit.train.distributed import World, distributed
from slurmkit.train.ranks import read_environment
from slurmkit.train.rundir import recorded_status, write_json
from slurmkit.train.variables import DistributedError

if TYPE_CHECKING:
    from slurmkit.train.all_reduce.config import AllReduceConfig


def run(config: AllReduceConfig) -> dict[str, Any]:
    """Run the demo on this rank and return what was measured."""
    rank = read_environment(os.environ).rank
    with recorded_status(rank):
        with distributed(timeout=timedelta(seconds=config.timeout)) as world:
            result = _measured(world, config)
        if rank == 0 and config.json_path:
            write_json(Path(config.json_path), result)
    return result


def check_sum(world: World, numbers: torch.Tensor) -> int:
    """Return the sum of 1 to n that an all-reduce over n ranks must have left everywhere.

    Raises:
        DistributedError: it left something else on this rank.
    """
    expected = world.world_size * (world.world_size + 1) // 2
    wrong = numbers[numbers != expected]
    if wrong.numel():
        raise DistributedError(
            f"rank {world.rank} received a wrong sum: {int(wrong[0])} instead of {expected}, in "
            f"{wrong.numel()} of {numbers.numel()} elements",
            f"rank {world.rank}/{world.world_size} on {world.node}, {world.device}",
            "take this node out (`sbatch: {exclude: …}`) and run again; if the sum stays wrong, "
            "two ranks may share a number: compare the lines `rank R/N` of all logs",
        )
    return expected


def _measured(world: World, config: AllReduceConfig) -> dict[str, Any]:
    _say(
        f"rank {world.rank}/{world.world_size} host {world.node} "
        f"local rank {world.local_rank}/{world.local_world_size}"
    )
    numbers = torch.full((1024,), world.rank + 1, dtype=torch.int64, device=world.device)
    dist.all_reduce(numbers)
    total = check_sum(world, numbers)
    last_node = torch.tensor([world.node_rank], device=world.device)
    dist.all_reduce(last_node, op=dist.ReduceOp.MAX)
    nodes = int(last_node) + 1
    rows = _rows(world, config)
    if world.rank == 0:
        _say(
            f"{world.world_size} rank(s) on {nodes} node(s): the sum is {total}, as expected\n"
            + (
                f"all-reduce of {config.dtype}, {world.backend} on {world.device.type}, "
                f"median of {config.iterations}:\n{table(rows)}"
                if rows
                else "one rank alone moves nothing: no bandwidth to measure"
            )
        )
    return {
        "world_size": world.world_size,
        "nodes": nodes,
        "backend": world.backend,
        "device": world.device.type,
        "dtype": config.dtype,
        "sum": total,
        "iterations": config.iterations,
        "warmup": config.warmup,
        "bandwidth": [asdict(row) for row in rows],
    }


def _rows(world: World, config: AllReduceConfig) -> list[Bandwidth]:
    if world.world_size == 1:
        return []
    dtype = getattr(torch, config.dtype)
    return [
        measure(world, size, dtype, warmup=config.warmup, iterations=config.iterations)
        for size in config.message_sizes()
    ]


def _say(text: str) -> None:
    """Write whole lines at once, so that ranks that share an output do not tear them."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
