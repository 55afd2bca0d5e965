"""AdamW on the adapters, the learning rate of each step, and the clipping of gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Shard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from slurmkit.train.finetune.config import TrainingConfig


def adamw(parameters: Iterable[Tensor], config: TrainingConfig) -> torch.optim.AdamW:
    """Return the optimizer; its learning rate is set before each step, by `learning_rate`."""
    return torch.optim.AdamW(
        parameters,
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        weight_decay=config.weight_decay,
    )


def learning_rate(step: int, total_steps: int, config: TrainingConfig) -> float:
    """Return the learning rate of one step; transformers' schedules of the same names.

    Args:
        step: number of steps taken before it.
        total_steps: steps of the whole training.
        config: the highest rate, the warm-up and how it falls after it.
    """
    warmup = config.warmup_steps
    if warmup is None:
        warmup = math.ceil(total_steps * config.warmup_ratio)
    if step < warmup:
        return config.learning_rate * step / warmup
    if config.lr_scheduler_type == "constant":
        return config.learning_rate
    done = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    if config.lr_scheduler_type == "linear":
        return config.learning_rate * (1 - done)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def clip(parameters: Iterable[DTensor], max_norm: float) -> Tensor:
    """Scale gradients down to a norm, and return what their norm was: float64, on the device.

    The norm is that of the whole gradient: squares are summed over the shards of one copy, in
    float64, by one all-reduce. Nothing is read back from the device.

    Args:
        parameters: all trained parameters; all on one mesh, one dimension of which shards.
        max_norm: the highest norm; 0 changes nothing.
    """
    gradients = [each.grad for each in parameters if isinstance(each.grad, DTensor)]
    assert gradients, "no gradient: call backward first"
    pieces = [gradient.to_local() for gradient in gradients]
    norms = torch.stack(torch._foreach_norm(pieces)).double()
    square = norms.square().sum()
    mesh, placements = gradients[0].device_mesh, gradients[0].placements
    for dimension, placement in enumerate(placements):
        if isinstance(placement, Shard):
            dist.all_reduce(square, group=mesh.get_group(dimension))
    norm = square.sqrt()
    if max_norm:
        factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_(pieces, factor.float())
    return norm
