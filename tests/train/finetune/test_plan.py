"""Steps and positions: the same samples whatever the number of ranks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slurmkit.train.finetune.config import TrainingConfig
from slurmkit.train.finetune.data import order
from slurmkit.train.finetune.plan import Plan

counts = st.integers(1, 40)


def test_steps_of_a_run_that_begins() -> None:
    config = TrainingConfig(
        per_device_train_batch_size=2, gradient_accumulation_steps=3, num_train_epochs=2
    )
    plan = Plan.of(config, samples=100, world_size=4)
    assert (plan.global_batch, plan.steps_per_epoch, plan.total_steps) == (24, 5, 10)
    assert plan.accumulation == 3
    assert [plan.position(step) for step in (0, 1, 4, 5, 6)] == [0, 24, 96, 100, 124]


def test_a_run_that_continues_keeps_its_global_batch() -> None:
    config = TrainingConfig(per_device_train_batch_size=2, gradient_accumulation_steps=3)
    plan = Plan.of(config, samples=100, world_size=3).resumed(config, global_batch=24)
    assert (plan.global_batch, plan.accumulation, plan.total_steps) == (24, 4, 5)


def test_max_steps_stands_above_epochs() -> None:
    assert Plan.of(TrainingConfig(max_steps=7), samples=3, world_size=1).total_steps == 7


@given(samples=counts, global_batch=counts, worlds=st.lists(st.integers(1, 6), min_size=1))
def test_each_epoch_takes_every_sample_once(
    samples: int, global_batch: int, worlds: list[int]
) -> None:
    plan = Plan(samples, global_batch, micro_batch=1, world_size=1, total_steps=1)
    for epoch in (0, 1):
        seen: list[int | None] = []
        for step in range(plan.steps_per_epoch):
            world = worlds[step % len(worlds)]  # the job continues on other ranks each step
            position = plan.position(epoch * plan.steps_per_epoch + step)
            batch = order.batch(position, global_batch, samples, seed=1)
            for rank in range(world):
                seen += order.share(batch, rank, world)
        assert sorted(index for index in seen if index is not None) == list(range(samples))
