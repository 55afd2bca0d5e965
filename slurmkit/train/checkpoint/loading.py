"""Fill tensors, on any number of ranks, from the shards that another number of ranks wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors.torch import load_file

from slurmkit.train.checkpoint.check import saved_at
from slurmkit.train.checkpoint.contents import Contents, Loaded
from slurmkit.train.checkpoint.headers import read_header
from slurmkit.train.checkpoint.metadata import (
    STATE,
    CheckpointError,
    Metadata,
    TensorInfo,
    model_file,
    optimizer_file,
    read,
    rng_file,
)
from slurmkit.train.checkpoint.shards import Piece, fill, piece_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor


def load(folder: Path, contents: Contents, rank: int, world_size: int) -> Loaded:
    """Fill this rank's tensors in place from a checkpoint that was checked.

    Raises:
        CheckpointError: it holds other tensors, or what this rank needs is not on this disk.
    """
    metadata = read(folder)
    numbers = range(metadata.num_shards)
    _fill_all(folder, metadata, contents.model, metadata.tensors, list(map(model_file, numbers)))
    if contents.optimizer is not None and metadata.mode == "full":
        names = list(map(optimizer_file, numbers))
        _fill_all(folder, metadata, contents.optimizer, metadata.optimizer_tensors, names)
    state = rank_state = None
    if STATE in metadata.files:
        state = json.loads(_here(folder, metadata, STATE).read_bytes())
    if world_size == metadata.world_size and rng_file(rank) in metadata.files:
        rank_state = load_file(_here(folder, metadata, rng_file(rank)))
    return Loaded(metadata.step, state, rank_state, metadata)


def _fill_all(
    folder: Path,
    metadata: Metadata,
    tensors: Mapping[str, Tensor],
    saved: Mapping[str, TensorInfo],
    names: list[str],
) -> None:
    targets = {name: piece_of(tensor) for name, tensor in tensors.items()}
    _compare(folder, targets, saved)
    missing = {name: piece.tensor.numel() for name, piece in targets.items()}
    for name in names:
        path = folder / name
        if path.exists():
            wanted = {tensor: piece for tensor, piece in targets.items() if missing[tensor]}
            for tensor, count in fill(wanted, path, read_header(path)).items():
                missing[tensor] -= count
    if any(missing.values()):
        tensor = next(name for name, count in missing.items() if count)
        absent = [name for name in names if not (folder / name).exists()]
        where = "; ".join(f"{name}: saved at {saved_at(name, metadata)}" for name in absent)
        raise CheckpointError(
            f"{folder}: {missing[tensor]} elements of {tensor} that this rank needs are not here "
            f"({where}): bring all shards to one directory, or run on the nodes that saved them"
        )


def _compare(folder: Path, targets: Mapping[str, Piece], saved: Mapping[str, TensorInfo]) -> None:
    for name in targets.keys() ^ saved.keys():
        which = "the checkpoint" if name in saved else "the model"
        raise CheckpointError(f"{folder}: {name} is in {which} only: is it of another model?")
    for name, piece in targets.items():
        if piece.whole != saved[name]:
            raise CheckpointError(
                f"{folder}: {name} is {saved[name].dtype}{list(saved[name].shape)}, the model's "
                f"{piece.whole.dtype}{list(piece.whole.shape)}: is it of another model or config?"
            )


def _here(folder: Path, metadata: Metadata, name: str) -> Path:
    if not (folder / name).exists():
        places = saved_at(name, metadata)
        raise CheckpointError(f"{folder / name}: not on this disk: it was saved at {places}")
    return folder / name
