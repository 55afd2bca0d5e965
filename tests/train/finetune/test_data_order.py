"""Every sample once an epoch, however many ranks there are and however large a batch is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from slurmkit.train.finetune.data import order

lengths = st.integers(1, 60)
seeds = st.integers(0, 2**40)
legs = st.lists(st.tuples(st.integers(1, 25), st.integers(1, 5)), min_size=1, max_size=6)


@settings(deadline=None)
@given(lengths, seeds, legs)
def test_each_sample_once_an_epoch_whatever_changes_on_the_way(
    length: int, seed: int, legs: list[tuple[int, int]]
) -> None:
    position, seen = 0, list[int]()
    leg = 0
    while position < 3 * length:
        size, world_size = legs[leg % len(legs)]  # a resume with other batches and ranks
        leg += 1
        indices = order.batch(position, size, length, seed)
        shares = [order.share(indices, rank, world_size) for rank in range(world_size)]
        assert len({len(share) for share in shares}) == 1
        assert [each for share in shares for each in share if each is not None] == indices
        seen += indices
        position += len(indices)
    for epoch in range(3):
        assert sorted(seen[epoch * length : (epoch + 1) * length]) == list(range(length))


@settings(deadline=None)
@given(lengths, seeds, st.integers(0, 200), st.integers(1, 40))
def test_a_batch_ends_with_its_epoch(length: int, seed: int, position: int, size: int) -> None:
    indices = order.batch(position, size, length, seed)
    assert len(indices) == min(size, length - position % length)
    assert indices[0] == order.batch(position, 1, length, seed)[0]


def test_epochs_and_seeds_differ() -> None:
    first = order.batch(0, 50, 50, 1)
    assert first != order.batch(50, 50, 50, 1)
    assert first != order.batch(0, 50, 50, 2)
    assert first != order.batch(0, 50, 50, 1 + 2**32)


def test_the_order_is_the_one_of_yesterday() -> None:
    """A checkpoint's position means the same samples in a later version."""
    assert order.batch(0, 8, 8, 42) == [1, 5, 4, 2, 3, 7, 0, 6]
