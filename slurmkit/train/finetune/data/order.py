"""The order of the samples: a function of seed, epoch and one global position, and of nothing else.

However many ranks there are and however large a batch is, a run that knows its global position
goes on with the sample that would have come next.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD = 2**32


def batch(position: int, size: int, length: int, seed: int) -> list[int]:
    """Return the samples at the global positions from `position` on, to the epoch's end at most.

    Args:
        position: how many samples came before, over all epochs.
        size: samples wanted; at the end of an epoch there may be fewer.
        length: samples in an epoch.
        seed: of the order.
    """
    assert position >= 0, position
    assert size > 0, size
    assert length > 0, length
    epoch, start = divmod(position, length)
    return [int(index) for index in permutation(length, seed, epoch)[start : start + size]]


def share(indices: Sequence[int], rank: int, world_size: int) -> list[int | None]:
    """Return one rank's part of a global batch: neighbours, and equally many on every rank.

    What is missing at the end is filled with None, a sample that counts for nothing.
    """
    each = -(-len(indices) // world_size)
    mine = indices[rank * each : (rank + 1) * each]
    return [*mine, *[None] * (each - len(mine))]


@lru_cache(maxsize=4)
def permutation(length: int, seed: int, stream: int) -> np.ndarray:
    """Return a permutation of the numbers below `length`, its own for each seed and stream.

    From RandomState, whose numbers no later numpy changes (NEP 19): an order outlives updates.
    """
    words = [seed % _WORD, seed // _WORD % _WORD, stream % _WORD, stream // _WORD]
    return np.random.RandomState(words).permutation(length)
