"""The loss on held-out data, exact for any number of ranks, with one reduction an evaluation.

Each rank adds up the losses of its tokens and counts them; both numbers are summed over the ranks
once, in float64, and divided. A mean of the batches' means is something else wherever batches hold
different numbers of tokens.
"""

from __future__ import annotations

import math
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from slurmkit.train.loss import IGNORED, summed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from slurmkit.train.control import Control
    from slurmkit.train.loss import Labelled


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation gave; the same on every rank, but for the seconds."""

    loss: float
    """Mean over all supervised tokens of all ranks, in nats."""
    perplexity: float
    """e to the loss; infinite where that is more than a float holds."""
    tokens: int
    """Supervised tokens of all ranks."""
    seconds: float
    """What it took on this rank."""


def evaluate(
    model: torch.nn.Module, batches: Iterable[Labelled], control: Control, chunk: int
) -> Evaluation:
    """Return the loss over the batches of all ranks.

    Modules that were in training are so again afterwards, and the random numbers go on where they
    were: whether a run evaluates changes nothing in its training.

    Args:
        model: a causal language model.
        batches: this rank's, equally many on every rank, for under FSDP a rank with fewer leaves
            the others waiting. What is missing are batches without a label, which count for
            nothing; samples repeated instead would count twice.
        control: the ranks.
        chunk: supervised tokens whose logits are held at a time; 0: all of them.

    Raises:
        ValueError: no rank has a supervised token.
    """
    begin = time.perf_counter()
    device = next(model.parameters()).device
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    with _inference(model, device):
        for batch in batches:
            totals[0] += summed(model, batch, chunk)
            totals[1] += (batch.labels[:, 1:] != IGNORED).sum()
    loss_sum, count = control.sum(totals.tolist())
    if count == 0:
        raise ValueError(
            "the evaluation data have no supervised token, on no rank: see that their samples have "
            "answers, and that `data.max_length` does not cut them off"
        )
    loss = loss_sum / count
    return Evaluation(loss, perplexity(loss), int(count), time.perf_counter() - begin)


def perplexity(loss: float) -> float:
    """Return e to the loss, infinite where a float does not hold it."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def subset(length: int, size: int | None, seed: int) -> list[int]:
    """Return which samples to evaluate, in ascending order: `size` of them, drawn by the seed.

    Args:
        length: how many there are.
        size: how many to take; None, or more than there are: all.
        seed: the same seed, length and size give the same samples, in every run and on any ranks.
    """
    if size is None or size >= length:
        return list(range(length))
    return sorted(random.Random(seed).sample(range(length), size))  # noqa: S311  (no secret)


@contextmanager
def _inference(model: torch.nn.Module, device: torch.device) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    devices = [device] if device.type == "cuda" else []
    model.eval()
    try:
        # A data loader draws its seed from torch's numbers, some models draw in evaluation too.
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for module in training:
            module.training = True
