"""Small agreements between all ranks: sums, tables of numbers, texts, a barrier.

They run on the CPU, in a process group of their own with a time-out of its own: a GPU's queue is
not waited for, and a rank that has died in the midst of a save is noticed in minutes.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from slurmkit.train.variables import DistributedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Control:
    """The ranks' common table; every method is a collective, to be called by all of them."""

    def __init__(self, timeout: timedelta = timedelta(minutes=10)) -> None:
        """Make the process group. Alone, or without torch's process group, nothing is sent.

        Args:
            timeout: how long a rank waits for the others.
        """
        together = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self._group = dist.new_group(backend="gloo", timeout=timeout) if together else None
        self.rank = dist.get_rank() if together else 0
        """Number of this process among all."""
        self.world_size = dist.get_world_size() if together else 1
        """Number of processes."""

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Return the sums over all ranks, in float64: one all-reduce."""
        table = torch.tensor(numbers, dtype=torch.float64)
        if self._group is not None:
            with self._told():
                dist.all_reduce(table, group=self._group)
        return [float(number) for number in table]

    def rows(self, numbers: Sequence[float]) -> list[list[float]]:
        """Return every rank's numbers, by rank: one all-gather."""
        mine = torch.tensor(numbers, dtype=torch.float64)
        if self._group is None:
            return [mine.tolist()]
        rows = [torch.empty_like(mine) for _ in range(self.world_size)]
        with self._told():
            dist.all_gather(rows, mine, group=self._group)
        return [row.tolist() for row in rows]

    def texts(self, text: str) -> list[str]:
        """Return every rank's text, by rank."""
        if self._group is None:
            return [text]
        data = text.encode()
        longest = torch.tensor(len(data))
        with self._told():
            dist.all_reduce(longest, op=dist.ReduceOp.MAX, group=self._group)
        width = int(longest)
        if width == 0:
            return [""] * self.world_size
        mine = torch.tensor(list(data.ljust(width, b"\0")), dtype=torch.uint8)
        rows = [torch.empty_like(mine) for _ in range(self.world_size)]
        with self._told():
            dist.all_gather(rows, mine, group=self._group)
        return [bytes(row.tolist()).rstrip(b"\0").decode() for row in rows]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # gloo's own words are about sockets
            raise DistributedError(
                f"another rank has left, or was not heard of in time: {error}",
                f"rank {self.rank}/{self.world_size}",
                "read the log of the rank that failed first",
            ) from error

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.sum([0.0])
