"""One optimizer step: the batches of this rank, forward and backward, the update."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.distributed.fsdp import FSDPModule

from slurmkit.train import stop
from slurmkit.train.checkpoint import rng_state, set_rng_state
from slurmkit.train.finetune.data import order
from slurmkit.train.finetune.data.batch import Batch, collate
from slurmkit.train.finetune.optimizer import clip, learning_rate
from slurmkit.train.flops import squares
from slurmkit.train.loss import summed
from slurmkit.train.variables import DistributedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurmkit.train.control import Control
    from slurmkit.train.experts import ExpertUsage
    from slurmkit.train.finetune.config import FinetuneConfig
    from slurmkit.train.finetune.data.load import Samples
    from slurmkit.train.finetune.model import Built
    from slurmkit.train.finetune.plan import Plan
    from slurmkit.train.flops import Flops


_Mark = tuple[dict[str, torch.Tensor], tuple[torch.Tensor, torch.Tensor] | None]


class TrainingError(RuntimeError):
    """The training cannot go on."""


@dataclass(frozen=True)
class Ready:
    """The batches of a step, and what all ranks have agreed on before it."""

    batches: list[Batch]
    """This rank's share; equally many on every rank."""
    supervised: int
    """Supervised tokens of all ranks."""
    stop: str | None
    """Why to stop before this step; None to take it."""
    wait: float
    """Seconds until the batches were there."""


@dataclass(frozen=True)
class Taken:
    """What a step gave on this rank."""

    loss_sum: float
    """Sum of the losses of this rank's supervised tokens."""
    supervised: int
    """Supervised tokens of all ranks."""
    tokens: int
    """All tokens of this rank, padding left out."""
    seconds: float
    """From the call for the batches to the end of the update."""
    wait: float
    """The part of it until the batches were there."""
    flops: float
    """FLOP of this rank's tokens."""
    learning_rate: float
    """In this step."""
    grad_norm: float
    """Norm of the gradient over all ranks, before clipping."""


@dataclass
class Stepper:
    """Takes optimizer steps; every rank takes the same ones."""

    config: FinetuneConfig
    plan: Plan
    built: Built
    samples: Samples
    optimizer: torch.optim.Optimizer
    control: Control
    device: torch.device
    pad_id: int
    experts: ExpertUsage | None
    flops: Flops

    def prepare(self, step: int) -> Ready:
        """Fetch this rank's batches for the step behind `step`, and agree whether to take it.

        Raises:
            DistributedError: another rank could not read its samples. On that rank: its error.
        """
        begin = time.perf_counter()
        error: Exception | None = None
        batches: list[Batch] = []
        try:
            batches = self._batches(step)
        except Exception as caught:  # told to all ranks first: they would wait for this one
            error = caught
        wait = time.perf_counter() - begin
        heard = [0.0] * len(stop.REASONS)
        heard[stop.heard()] = 1.0
        mine = [float(sum(batch.tokens for batch in batches)), float(error is not None), *heard]
        supervised, failed, _, *heard = self.control.sum(mine)
        if error is not None:
            raise error
        if failed:
            raise DistributedError(
                f"{failed:g} other rank(s) could not read their samples",
                f"rank {self.control.rank}, before step {step + 1}",
                "read the log of the rank whose last lines are a traceback",
            )
        reasons = [why for why, count in zip(stop.REASONS[1:], heard, strict=True) if count]
        return Ready(batches, int(supervised), next(iter(reasons), None), wait)

    def take(self, step: int, ready: Ready, hurried: Callable[[float], bool]) -> Taken | None:
        """Compute, and update the weights.

        Args:
            step: the number of steps taken so far.
            ready: what `prepare` gave.
            hurried: asked between micro-batches, given the share of the step that is done,
                whether this rank has no time for the rest.

        Raises:
            TrainingError: the gradient is not finite; the weights are those before the step.

        Returns:
            What it gave; None if some rank was in a hurry: the weights are those before the step.
        """
        begin = time.perf_counter()
        rate = learning_rate(step, self.plan.total_steps, self.config.training)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = []
        count = len(ready.batches)
        before = self._mark() if count > 1 else None  # only between two can it be given up
        for number, batch in enumerate(ready.batches):
            if number and any(self.control.sum([hurried(number / count)])):
                self._rewind(before)
                return None
            self._reduce_gradients(number == count - 1)
            losses.append(self._backward(batch, ready.supervised))
        norm = float(clip(self.built.trainable.values(), self.config.training.max_grad_norm))
        if not math.isfinite(norm):  # the same on all ranks; the weights are still sound
            raise TrainingError(
                f"the gradient of step {step + 1} has the norm {norm}: the loss is not finite on "
                "some rank. Lower `training.learning_rate`, or look at the samples of this step; "
                "the newest checkpoint is from before it"
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss_sum = float(torch.stack(losses).double().sum())  # waits for the device
        tokens = sum(int(batch.valid.sum()) for batch in ready.batches)
        return Taken(
            loss_sum=loss_sum,
            supervised=ready.supervised,
            tokens=tokens,
            seconds=ready.wait + time.perf_counter() - begin,
            wait=ready.wait,
            flops=self.flops.of(tokens, sum(_squares(batch) for batch in ready.batches)),
            learning_rate=rate,
            grad_norm=norm,
        )

    def _batches(self, step: int) -> list[Batch]:
        plan = self.plan
        position = plan.position(step)
        indices = order.batch(position, plan.global_batch, plan.samples, self.config.training.seed)
        mine = order.share(indices, self.control.rank, self.control.world_size)
        samples = [None if index is None else self.samples[index] for index in mine]
        return [
            collate(samples[first : first + plan.micro_batch], self.pad_id, self.device)
            for first in range(0, len(samples), plan.micro_batch)
        ]

    def _backward(self, batch: Batch, supervised: int) -> torch.Tensor:
        """Add a micro-batch's gradient; return the sum of its token losses.

        FSDP averages gradients over ranks. Times the number of ranks and divided by all supervised
        tokens, that is the gradient of the mean over the tokens of the whole step.
        """
        with self.experts.counting(batch.valid) if self.experts else nullcontext():
            loss = summed(self.built.model, batch, self.config.model.chunked_loss)
        scaled = loss * (self.control.world_size / max(supervised, 1))
        scaled.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _mark(self) -> _Mark:
        return rng_state(), self.experts.mark() if self.experts else None

    def _rewind(self, mark: _Mark | None) -> None:
        """Be as before the step: no gradient, no random number used, no expert counted."""
        assert mark is not None
        self.optimizer.zero_grad()
        set_rng_state(mark[0])
        if self.experts and mark[1]:
            self.experts.rewind(mark[1])

    def _reduce_gradients(self, now: bool) -> None:
        """Send gradients to the other ranks in the last micro-batch of a step only."""
        for module in self.built.model.modules():
            if isinstance(module, FSDPModule):
                module.set_requires_gradient_sync(now, recurse=False)


def _squares(batch: Batch) -> float:
    return float(squares(batch.valid, batch.position_ids))
