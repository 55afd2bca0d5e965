"""A sample, and several of them as the tensors of one micro-batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from slurmkit.train.finetune.data.tokenise import UNSUPERVISED

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Sample:
    """One sequence: a document, or several packed ones."""

    input_ids: list[int]
    """Tokens."""
    labels: list[int]
    """The same tokens, or -100 where the loss passes over; not shifted."""
    position_ids: list[int] | None
    """Packed documents count from 0 each; None: there is one document."""


@dataclass(frozen=True)
class Batch:
    """One micro-batch; B samples of T tokens, padded on the right.

    The model gets no attention mask: causal attention never looks at what stands behind, and a
    mask of ones would let packed documents see each other (transformers derives the borders from
    position_ids, but only where there is no mask and no cache).
    """

    input_ids: torch.Tensor
    """Long[B, T]"""
    labels: torch.Tensor
    """Long[B, T], not shifted; -100: not supervised."""
    position_ids: torch.Tensor | None
    """Long[B, T] with packing; None: 0 to T-1."""
    valid: torch.Tensor
    """Bool[B, T]; False: padding."""

    @property
    def tokens(self) -> int:
        """Number of supervised tokens, those that have one before them to predict them from."""
        return int((self.labels[:, 1:] != UNSUPERVISED).sum())


def pack_samples(samples: Sequence[Sample]) -> Sample:
    """Return documents as one sequence; the first token of each is nobody's to predict."""
    return Sample(
        input_ids=[token for each in samples for token in each.input_ids],
        labels=[label for each in samples for label in (UNSUPERVISED, *each.labels[1:])],
        position_ids=[place for each in samples for place in range(len(each.input_ids))],
    )


def collate(
    samples: Sequence[Sample | None], pad_id: int, device: torch.device | str = "cpu"
) -> Batch:
    """Return samples as one micro-batch.

    Args:
        samples: None is a sample that counts for nothing: padding only.
        pad_id: the token to pad with.
        device: where the tensors go.
    """
    length = max([2, *(len(each.input_ids) for each in samples if each)])
    shape = (len(samples), length)
    input_ids, labels = torch.full(shape, pad_id), torch.full(shape, UNSUPERVISED)
    position_ids = torch.arange(length).repeat(len(samples), 1)
    valid = torch.zeros(shape, dtype=torch.bool)
    packed = any(each and each.position_ids for each in samples)
    for row, each in enumerate(samples):
        if each is None:
            continue
        end = len(each.input_ids)
        input_ids[row, :end] = torch.tensor(each.input_ids)
        labels[row, :end] = torch.tensor(each.labels)
        valid[row, :end] = True
        if packed:
            position_ids[row, :end] = torch.tensor(each.position_ids or range(end))
    return Batch(
        input_ids=input_ids.to(device),
        labels=labels.to(device),
        position_ids=position_ids.to(device) if packed else None,
        valid=valid.to(device),
    )
