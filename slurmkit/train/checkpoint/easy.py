"""Save and resume in a script of your own: a line each, for DDP, FSDP2 or a single process.

Example::

    state = checkpoint.resume(directory, model, optimizer) or {"step": 0}
    for step in range(state["step"], steps):
        ...
        if step % 100 == 0 or stop.requested():
            checkpoint.save(directory, step, model, optimizer)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor, Replicate

from slurmkit.train.checkpoint.checkpoints import Checkpoints
from slurmkit.train.checkpoint.contents import Contents, Saved
from slurmkit.train.checkpoint.folders import Place
from slurmkit.train.checkpoint.metadata import CheckpointError
from slurmkit.train.checkpoint.optimizer import optimizer_tensors
from slurmkit.train.checkpoint.rng import rng_state, set_rng_state
from slurmkit.train.control import Control
from slurmkit.train.rundir import attempt

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from torch import Tensor

_opened: WeakKeyDictionary[Any, dict[tuple[Path, Place], Checkpoints]] = WeakKeyDictionary()
"""For each process group, for as long as it lives; under torch's own module: without a group."""


def save(  # noqa: PLR0913, PLR0917  each is a fact about the save
    directory: str | os.PathLike[str],
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    state: dict[str, Any] | None = None,
    keep: int | None = 3,
    metric: float | None = None,
    when_failed: Literal["continue", "stop"] = "continue",
) -> Saved:
    """Save the model, the optimizer and the random numbers; every rank calls it at the same step.

    Args:
        directory: holds the checkpoints; one for all nodes, or each node's own.
        step: optimizer steps done.
        model: plain, in DistributedDataParallel, or sharded by `fully_shard`.
        optimizer: any whose state is tensors.
        state: what else to continue from, the same on all ranks, as JSON can hold it.
        keep: checkpoints to keep, the newest and the best in any case; None: all.
        metric: how good the model is; lower is better.
        when_failed: whether a failed save is told on stderr, or raises.

    Returns:
        Where it is, or why it failed.

    Raises:
        CheckpointError: it failed on some rank, and `when_failed` is stop.
        ValueError: the model or the optimizer holds what is no tensor.
    """
    shared = {"user": {"step": step} | (state or {}), "groups": _groups(optimizer)}
    contents = _contents(model, optimizer, shared)
    checkpoints = _open(directory, contents)
    checkpoints.keep, checkpoints.when_failed = keep, when_failed
    return checkpoints.save(step, contents, metric)


def resume(
    directory: str | os.PathLike[str],
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
) -> dict[str, Any] | None:
    """Continue from the newest whole checkpoint; every rank calls it, before the first step.

    Returns:
        The state that was saved, with its `step`; None: there is no checkpoint, begin.

    Raises:
        CheckpointError: the checkpoint is of another model.
        ValueError: the model or the optimizer holds what is no tensor.
    """
    contents = _contents(model, optimizer, None)
    checkpoints = _open(directory, contents)
    path = checkpoints.newest()
    if path is None:
        return None
    loaded = checkpoints.load(path, contents)
    if loaded.state is None or "user" not in loaded.state:
        raise CheckpointError(f"{path} was not saved by checkpoint.save: use another directory")
    for group, saved in zip(_param_groups(optimizer), loaded.state["groups"], strict=True):
        # JSON has lists for tuples.
        group.update(
            {
                key: tuple(value) if isinstance(group.get(key), tuple) else value
                for key, value in saved.items()
            }
        )
    if loaded.rank_state is not None:
        set_rng_state(loaded.rank_state)
    return dict(loaded.state["user"])


def place_of(tensors: Iterable[Tensor]) -> Place:
    """Return which piece of sharded tensors this rank holds; of plain ones, a copy.

    Raises:
        CheckpointError: they are not sharded alike.
    """
    places = {
        _place(tensor)
        for tensor in tensors
        if isinstance(tensor, DTensor)
        and not all(isinstance(each, Replicate) for each in tensor.placements)
    }
    if len(places) > 1:
        raise CheckpointError(f"the model's tensors are not sharded alike: {places}")
    if places:
        return places.pop()
    together = dist.is_available() and dist.is_initialized()
    rank, ranks = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
    return Place(shard=0, shards=1, replica=rank, replicas=ranks)


def _place(tensor: DTensor) -> Place:
    shard = replica = 0
    shards = replicas = 1
    for axis, placement in enumerate(tensor.placements):
        size, at = tensor.device_mesh.size(axis), tensor.device_mesh.get_local_rank(axis)
        if isinstance(placement, Replicate):
            replica, replicas = replica * size + at, replicas * size
        else:
            shard, shards = shard * size + at, shards * size
    return Place(shard, shards, replica, replicas)


def _contents(
    model: nn.Module, optimizer: torch.optim.Optimizer | None, state: dict[str, Any] | None
) -> Contents:
    if isinstance(model, nn.parallel.DistributedDataParallel):
        model = model.module
    tensors = model.state_dict()
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(f"the model holds {name}, which is no tensor, and cannot be saved")
    named = dict(model.named_parameters())
    return Contents(
        model=tensors,
        optimizer=optimizer_tensors(named, optimizer) if optimizer else None,
        state=state,
        rank_state=rng_state(),
    )


def _open(directory: str | os.PathLike[str], contents: Contents) -> Checkpoints:
    """Return the checkpoints in a directory, the same object each time."""
    together = dist.is_available() and dist.is_initialized()
    opened = _opened.setdefault(dist.group.WORLD if together else dist, {})
    key = Path(directory), place_of(contents.model.values())
    if key not in opened:
        opened[key] = Checkpoints(key[0], Control(), key[1], attempt=attempt())
    return opened[key]


def _param_groups(optimizer: torch.optim.Optimizer | None) -> list[dict[str, Any]]:
    return optimizer.param_groups if optimizer else []


def _groups(optimizer: torch.optim.Optimizer | None) -> list[dict[str, Any]]:
    """Return learning rates and the like: schedulers go on from them."""
    return [
        {
            key: value.item() if isinstance(value, torch.Tensor) else value
            for key, value in group.items()
            if key != "params"
        }
        for group in _param_groups(optimizer)
    ]
