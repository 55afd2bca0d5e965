"""What goes into a checkpoint, and what comes of saving and loading one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from slurmkit.train.checkpoint.metadata import Metadata


@dataclass(frozen=True)
class Contents:
    """What is saved, or filled in place. Tensors are DTensors, or plain: the same on all ranks."""

    model: dict[str, Tensor]
    """The model's tensors."""
    optimizer: dict[str, Tensor] | None = None
    """The optimizer's, from `optimizer_tensors`; None: a `lite` checkpoint."""
    state: dict[str, Any] | None = None
    """What JSON can hold, the same on all ranks: the place in the data, the schedule."""
    rank_state: dict[str, Tensor] | None = None
    """This rank's own, from `rng_state`."""
    files: dict[str, bytes] = field(default_factory=dict)
    """More files, by name, the same on all ranks: the tokenizer's, adapter_config.json."""
    global_batch: int | None = None
    """Samples of one optimizer step over all ranks."""


@dataclass(frozen=True)
class Saved:
    """How a save ended, the same on all ranks."""

    path: Path | None
    """The checkpoint; None if it failed."""
    seconds: float
    """What it took on this rank."""
    bytes: int
    """What all ranks wrote."""
    error: str | None = None
    """Why it failed, and on which rank."""


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint held besides the tensors that were filled."""

    step: int
    """Optimizer steps done."""
    state: dict[str, Any] | None
    """What all ranks shared; None in a lite checkpoint."""
    rank_state: dict[str, Tensor] | None
    """This rank's own; None if as many ranks did not save it."""
    metadata: Metadata
