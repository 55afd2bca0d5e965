"""How many samples an optimizer step takes, how many steps there are, and where one stands."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurmkit.train.finetune.config import TrainingConfig


@dataclass(frozen=True)
class Plan:
    """The shape of a training run. The last step of an epoch takes what is left of it."""

    samples: int
    """Samples in the training data: one epoch."""
    global_batch: int
    """Samples of one optimizer step, over all ranks. It belongs to the run: a job that continues
    on fewer ranks keeps it, so that each step is the same step."""
    micro_batch: int
    """Samples a rank computes at a time."""
    world_size: int
    """Number of ranks."""
    total_steps: int
    """Optimizer steps in all."""

    @classmethod
    def of(cls, config: TrainingConfig, samples: int, world_size: int) -> Plan:
        """Return the plan of a run that begins."""
        micro_batch = config.per_device_train_batch_size
        global_batch = micro_batch * config.gradient_accumulation_steps * world_size
        plan = cls(samples, global_batch, micro_batch, world_size, 0)
        return plan._with_steps(config)

    def resumed(self, config: TrainingConfig, global_batch: int) -> Plan:
        """Return this plan with the global batch of a checkpoint."""
        return replace(self, global_batch=global_batch)._with_steps(config)

    def _with_steps(self, config: TrainingConfig) -> Plan:
        steps = config.max_steps or config.num_train_epochs * self.steps_per_epoch
        return replace(self, total_steps=steps)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps that take every sample once."""
        return math.ceil(self.samples / self.global_batch)

    @property
    def accumulation(self) -> int:
        """Times a rank computes before a step of full size."""
        return math.ceil(math.ceil(self.global_batch / self.world_size) / self.micro_batch)

    def position(self, step: int) -> int:
        """Return the number of samples that all ranks have taken together after `step` steps."""
        epochs, steps = divmod(step, self.steps_per_epoch)
        return epochs * self.samples + steps * self.global_batch

    def __str__(self) -> str:
        return (
            f"{self.total_steps} steps of {self.global_batch} samples: {self.world_size} ranks x "
            f"{self.micro_batch} samples x {self.accumulation} times; "
            f"{self.steps_per_epoch} steps an epoch of {self.samples} samples"
        )
