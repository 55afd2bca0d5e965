"""The fine-tuning job's evaluations: which samples, and the loss on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit.train.evaluate import Evaluation, evaluate, subset
from slurmkit.train.finetune.data import order
from slurmkit.train.finetune.data.batch import collate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from slurmkit.train.control import Control
    from slurmkit.train.finetune.config import FinetuneConfig
    from slurmkit.train.finetune.data.batch import Batch
    from slurmkit.train.finetune.data.load import Samples


class _GivenUpError(Exception):
    """Between two batches all ranks have agreed to leave an evaluation."""


@dataclass(frozen=True)
class Evaluator:
    """Evaluates on the same samples each time, whatever the number of ranks."""

    config: FinetuneConfig
    model: torch.nn.Module
    samples: Samples
    control: Control
    device: torch.device
    pad_id: int

    def __call__(self, given_up: Callable[[int], bool]) -> Evaluation | None:
        """Return the loss; None where there is nothing to evaluate on, or it was given up.

        Args:
            given_up: asked between batches, with the number of those done; it must answer the
                same on every rank.
        """
        if not len(self.samples):
            return None
        batches = self._batches(given_up)
        try:
            return evaluate(self.model, batches, self.control, self.config.model.chunked_loss)
        except _GivenUpError:
            return None

    def _batches(self, given_up: Callable[[int], bool]) -> Iterator[Batch]:
        training = self.config.training
        wanted = training.eval_subset_size if training.eval_dataset_type == "subset" else None
        indices = subset(len(self.samples), wanted, training.seed)
        mine = order.share(indices, self.control.rank, self.control.world_size)
        size = training.per_device_eval_batch_size
        for first in range(0, len(mine), size):
            if first and given_up(first // size):
                raise _GivenUpError
            batch = mine[first : first + size]
            samples = [None if index is None else self.samples[index] for index in batch]
            yield collate(samples, self.pad_id, self.device)
