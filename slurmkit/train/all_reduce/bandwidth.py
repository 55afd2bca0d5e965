"""Measure the bandwidth of all-reduce, in the terms of NVIDIA's nccl-tests.

algbw = bytes / time; busbw = algbw * 2(n-1)/n for n ranks. The second can be compared with what
the hardware promises, whatever n is: an all-reduce moves each byte 2(n-1) times over n links.
Source: nccl-tests, doc/PERFORMANCE.md, "AllReduce".
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.train.distributed import World


@dataclass(frozen=True)
class Bandwidth:
    """How fast messages of one size are added over all ranks."""

    bytes: int
    """Size of the message on each rank."""
    microseconds: float
    """Time of one all-reduce: the median over iterations of the slowest rank's time."""
    algbw: float
    """Algorithm bandwidth, in GB/s (10^9 bytes)."""
    busbw: float
    """Bus bandwidth, in GB/s."""


def bandwidth(size: int, seconds: float, world_size: int) -> Bandwidth:
    """Return the bandwidths of an all-reduce of `size` bytes that took `seconds`."""
    algbw = size / seconds / 1e9
    busbw = algbw * 2 * (world_size - 1) / world_size
    return Bandwidth(size, seconds * 1e6, algbw, busbw)


def measure(
    world: World, size: int, dtype: torch.dtype, *, warmup: int, iterations: int
) -> Bandwidth:
    """Time all-reduces of `size` bytes; every rank must call it, and gets the same answer."""
    # Zeros: their sum stays finite however often it is taken.
    message = torch.zeros(size // dtype.itemsize, dtype=dtype, device=world.device)
    for _ in range(warmup):
        dist.all_reduce(message)
    timed = _time_on_gpu if world.device.type == "cuda" else _time_on_cpu
    seconds = torch.tensor(timed(message, iterations), dtype=torch.float64, device=world.device)
    dist.all_reduce(seconds, op=dist.ReduceOp.MAX)
    return bandwidth(size, statistics.median(seconds.tolist()), world.world_size)


def table(rows: Sequence[Bandwidth]) -> str:
    """Return the measurements as aligned columns."""
    lines = [f"{'size':>10}  {'time':>14}  {'algbw':>14}  {'busbw':>14}"]
    lines += [
        f"{_human(row.bytes):>10}  {row.microseconds:>11.1f} us"
        f"  {row.algbw:>9.4f} GB/s  {row.busbw:>9.4f} GB/s"
        for row in rows
    ]
    return "\n".join(lines)


def _time_on_cpu(message: torch.Tensor, iterations: int) -> list[float]:
    dist.barrier()
    seconds = []
    for _ in range(iterations):
        begin = time.perf_counter()
        dist.all_reduce(message)
        seconds.append(time.perf_counter() - begin)
    return seconds


def _time_on_gpu(message: torch.Tensor, iterations: int) -> list[float]:
    events = [
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        for _ in range(iterations + 1)
    ]
    dist.barrier()
    events[0].record()
    for event in events[1:]:
        dist.all_reduce(message)
        event.record()
    torch.cuda.synchronize()
    return [begin.elapsed_time(end) / 1e3 for begin, end in pairwise(events)]


def _human(size: int) -> str:
    for unit, width in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size % width == 0:
            return f"{size // width} {unit}"
    return f"{size} B"
