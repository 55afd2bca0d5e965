"""What the ranks of the checkpoint tests hold: tensors that are a function of a number."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from slurmkit.train.checkpoint import Checkpoints, Contents, Place
from slurmkit.train.control import Control
from slurmkit.train.distributed import World

SHAPES = {"a": (8, 5), "b": (2, 3), "c": (7, 2), "d": (1, 4), "e": (3,)}
"""Over 3 ranks 8 rows are uneven; over 4, 2 rows leave two ranks empty."""


def truth(number: int) -> dict[str, Tensor]:
    """Whole tensors, other ones for each number."""
    generator = torch.Generator().manual_seed(number)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def moments(number: int) -> dict[str, Tensor]:
    """As an optimizer has them: two more of each tensor, and a plain count."""
    found: dict[str, Tensor] = {}
    for name, tensor in truth(number).items():
        found |= {f"{name}.exp_avg": tensor / 2, f"{name}.step": torch.tensor(float(number))}
    return found


def mesh_of(world_size: int, replicas: int = 1) -> DeviceMesh:
    """A mesh as fine-tuning has it."""
    shape = (replicas, world_size // replicas)
    return init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard"))


def sharded(tensors: dict[str, Tensor], mesh: DeviceMesh) -> dict[str, Tensor]:
    """DTensors of whole tensors; plain ones of those without dimensions."""
    return {
        name: distribute_tensor(tensor, mesh, [Replicate(), Shard(0)], src_data_rank=None)
        if tensor.ndim
        else tensor.clone()
        for name, tensor in tensors.items()
    }


def contents(number: int, mesh: DeviceMesh, rank: int, width: int = 0) -> Contents:
    """All that a checkpoint may hold; `width` numbers more, where it has to be big."""
    more = {"wide": torch.full((mesh.size(1), width), float(number))} if width else {}
    return Contents(
        model=sharded(truth(number) | more, mesh),
        optimizer=sharded(moments(number), mesh),
        state={"number": number},
        rank_state={"rank": torch.tensor([rank, number])},
        files={"tokenizer.json": b"{}"},
        global_batch=12,
    )


def opened(
    directory: Path, world: World, mesh: DeviceMesh, control: Control | None = None
) -> Checkpoints:
    """The checkpoints of a directory, for the ranks of a mesh; all are kept."""
    (replica, shard), (replicas, shards) = mesh.get_coordinate() or (), mesh.shape
    return Checkpoints(directory, control or Control(), Place(shard, shards, replica, replicas))


def wrong(held: Contents, number: int, mesh: DeviceMesh) -> list[str]:
    """The tensors that are not those of a number, on this rank, to the bit."""
    expected = sharded(truth(number), mesh) | sharded(moments(number), mesh)
    found = held.model | (held.optimizer or {})
    return [
        name
        for name, tensor in expected.items()
        if not torch.equal(_local(found[name]), _local(tensor))
    ]


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
