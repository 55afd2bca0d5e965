"""A rank's piece of each tensor, and the safetensors file that holds the pieces of one shard.

The header carries, under torch's own key, where each piece lies in its tensor. So torch's public
``HuggingFaceStorageReader`` reads these files too, at any number of ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from torch.distributed.tensor import DTensor, Replicate, Shard

from slurmkit.train.checkpoint.headers import write_header
from slurmkit.train.checkpoint.metadata import CheckpointError, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from slurmkit.train.checkpoint.headers import Held


@dataclass(frozen=True)
class Piece:
    """What one rank holds of a tensor; the tensor shares its memory."""

    tensor: Tensor
    """The local part; may be empty."""
    offset: tuple[int, ...]
    """Where it begins in the whole tensor, by dimension."""
    whole: TensorInfo
    """The whole tensor."""


def whole_of(tensor: Tensor) -> TensorInfo:
    """Return the shape and type of the whole tensor."""
    return TensorInfo(shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))


def is_sharded(tensor: Tensor) -> bool:
    """Tell whether other ranks hold the rest of it; else every rank holds all."""
    placements = tensor.placements if isinstance(tensor, DTensor) else ()
    return any(not isinstance(placement, Replicate) for placement in placements)


def piece_of(tensor: Tensor) -> Piece:
    """Return this rank's piece of a tensor; a plain one is whole on every rank. No collective.

    Raises:
        CheckpointError: the placement is neither Replicate nor Shard, or more than one dimension
            is sharded.
    """
    whole = whole_of(tensor)
    if not isinstance(tensor, DTensor):
        return Piece(tensor.detach(), (0,) * tensor.ndim, whole)
    offset, size = [0] * tensor.ndim, list(tensor.shape)
    sharded = set()
    for axis, placement in enumerate(tensor.placements):
        if isinstance(placement, Replicate):
            continue
        if type(placement) is not Shard:
            raise CheckpointError(f"cannot save a tensor placed as {placement}: use fully_shard")
        # torch.chunk's rule, which DTensor follows: equal pieces, the last ones short or empty.
        at = placement.dim % tensor.ndim
        each = -(-size[at] // tensor.device_mesh.size(axis))
        begin = min(tensor.device_mesh.get_local_rank(axis) * each, size[at])
        offset[at] += begin
        size[at] = min(each, size[at] - begin)
        sharded.add(at)
    if len(sharded) > 1:
        raise CheckpointError(f"cannot save a tensor sharded along dimensions {sorted(sharded)}")
    with torch.no_grad():  # no graph for each of a thousand views
        local = tensor.to_local().detach()
    if list(local.shape) != size:
        raise CheckpointError(f"a shard is {list(local.shape)}, where {size} was expected")
    return Piece(local, tuple(offset), whole)


def serialize(pieces: Mapping[str, Piece]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a safetensors file, a tensor at a time, copied from its device then.

    Empty pieces are left out: other files hold all of those tensors.
    """
    held = {name: piece for name, piece in pieces.items() if piece.tensor.numel()}
    start, begins = write_header(
        {name: (piece.whole.dtype, piece.tensor.shape) for name, piece in held.items()},
        {
            name: {"saved_offsets": piece.offset, "shape": piece.whole.shape}
            for name, piece in held.items()
        },
    )
    yield start
    for name in begins:
        data = held[name].tensor.to("cpu").contiguous().reshape(-1).view(torch.uint8)
        yield data.numpy().data


def fill(targets: Mapping[str, Piece], path: Path, held: Mapping[str, Held]) -> dict[str, int]:
    """Copy into pieces, in place, what one file holds of them; only the rows needed are read.

    Args:
        targets: the pieces, by the names of their tensors.
        path: the file.
        held: what is in it, as `read_header` says.

    Returns:
        How many elements each piece got, for those that got any.

    Raises:
        CheckpointError: the file cannot be read.
    """
    overlaps = {name: _overlap(targets[name], held[name]) for name in targets if name in held}
    wanted = {name: box for name, box in overlaps.items() if box is not None}
    if not wanted:
        return {}
    try:
        with safe_open(path, framework="pt") as file, torch.no_grad():
            for name, (low, high) in wanted.items():
                source = _window(low, high, held[name].offset)
                data = file.get_slice(name)[source] if source else file.get_tensor(name)
                targets[name].tensor[_window(low, high, targets[name].offset)].copy_(data)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    return {
        name: math.prod(last - first for first, last in zip(low, high, strict=True))
        for name, (low, high) in wanted.items()
    }


def _overlap(target: Piece, part: Held) -> tuple[list[int], list[int]] | None:
    """Return the first and the last corner of what both hold, in the whole tensor's places."""
    low = [max(pair) for pair in zip(target.offset, part.offset, strict=True)]
    high = [
        min(mine + size, theirs + length)
        for mine, size, theirs, length in zip(
            target.offset, target.tensor.shape, part.offset, part.shape, strict=True
        )
    ]
    inside = all(first < last for first, last in zip(low, high, strict=True))
    return (low, high) if inside else None


def _window(low: Sequence[int], high: Sequence[int], origin: Sequence[int]) -> tuple[slice, ...]:
    return tuple(
        slice(first - start, last - start)
        for first, last, start in zip(low, high, origin, strict=True)
    )
