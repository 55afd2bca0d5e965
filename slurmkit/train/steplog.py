"""A row of train_log from what each rank measured: pure, no collective and no clock in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class RankRow:
    """What one rank measured over the steps since the last row; `Control.rows` carries it.

    Example::

        rows = [RankRow(*row) for row in control.rows(astuple(mine))]
    """

    loss_sum: float
    """Sum of the losses of its supervised tokens."""
    tokens: float
    """Its tokens, supervised or not, padding left out."""
    flops: float
    """What they cost (`Flops.of`)."""
    seconds: float
    """Time of the steps."""
    wait: float
    """The part of it in which it waited for data."""
    peak_memory: float
    """The most bytes of the GPU's memory that tensors had; without a GPU, of the process."""


@dataclass(frozen=True)
class Steps:
    """What all ranks know of the steps that one row tells of."""

    step: int
    """The last of them."""
    epoch: float
    """How many times the data have been seen."""
    supervised: int
    """Their supervised tokens, of all ranks."""
    learning_rate: float
    """Of the last one."""
    grad_norm: float
    """Of the last one."""
    count: int = 1
    """How many they are."""


def train_row(
    steps: Steps, rows: Sequence[RankRow], peak_tflops: float | None = None
) -> dict[str, Any]:
    """Return the row.

    The slowest rank sets the pace: a rate is a count of all ranks by its time. In `tokens` and the
    rates of them all tokens count but padding; `supervised_tokens` are those with a loss. `mfu` is
    the share of all GPUs' peak that the model's own arithmetic needed, without what activation
    checkpointing computes twice (PaLM, appendix B, https://arxiv.org/abs/2204.02311). `data_wait`
    and `step_time` are seconds a step, each of the rank where it was longest.

    Args:
        steps: which.
        rows: what each rank measured, by rank.
        peak_tflops: a GPU's peak (`gpus.peak_tflops`); None: unknown, and so is `mfu`.
    """
    slowest = max(range(len(rows)), key=lambda rank: rows[rank].seconds)
    seconds = max(rows[slowest].seconds, 1e-9)
    tokens = sum(row.tokens for row in rows)
    busy = seconds * len(rows)
    return {
        "step": steps.step,
        "epoch": steps.epoch,
        "loss": sum(row.loss_sum for row in rows) / max(steps.supervised, 1),
        "lr": steps.learning_rate,
        "grad_norm": steps.grad_norm,
        "tokens": int(tokens),
        "supervised_tokens": steps.supervised,
        "tokens_per_second": tokens / seconds,
        "tokens_per_second_per_gpu": tokens / busy,
        "mfu": sum(row.flops for row in rows) / (busy * peak_tflops * 1e12)
        if peak_tflops
        else None,
        "peak_memory_gib": max(row.peak_memory for row in rows) / 2**30,
        "data_wait": max(row.wait for row in rows) / steps.count,
        "step_time": seconds / steps.count,
        "slowest_rank": slowest,
    }
