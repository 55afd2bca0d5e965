"""Merge a checkpoint's shards into a standard PEFT adapter. No torch.

The adapter is written beside its place and renamed when it is whole.
"""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from slurmkit.train.checkpoint import files, headers
from slurmkit.train.checkpoint.check import adapter_files, check, is_model_file
from slurmkit.train.checkpoint.metadata import NAME, CheckpointError, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slurmkit.train.checkpoint.metadata import TensorInfo

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Merged:
    """What an adapter holds."""

    step: int
    """Of the checkpoint."""
    tensors: int
    """Their number."""
    parameters: int
    """Numbers in all tensors."""


def merge(folder: Path, into: Path, *, replace: bool = False) -> Merged:
    """Write the adapter of a checkpoint, checked first, for `PeftModel.from_pretrained`.

    Args:
        folder: the checkpoint.
        into: the directory to make.
        replace: where there is an adapter already, put this one in its place.

    Raises:
        FileExistsError: the directory is there, and is not empty.
        CheckpointError: the checkpoint is not whole; every problem is named.
    """
    into = into.resolve()
    refuse_to_overwrite(into, replace=replace)
    metadata = read(folder)
    problems = check(folder, metadata, adapter_only=True)
    if problems:
        raise CheckpointError("\n".join(f"{folder}/{problem}" for problem in problems))
    if CONFIG not in metadata.files:
        raise CheckpointError(f"{folder}/{CONFIG}: missing: PEFT cannot load an adapter without it")
    names = adapter_files(metadata)
    shards = list(filter(is_model_file, names))
    staging = into.with_name(f".{into.name}.merging")
    shutil.rmtree(staging, ignore_errors=True)  # of a merge that was killed
    try:
        weights = _whole(metadata.tensors, [folder / name for name in shards])
        files.write(staging / WEIGHTS, [weights])
        for name in set(names) - set(shards):
            files.write(staging / name, [(folder / name).read_bytes()])
        _commit(staging, into)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    parameters = sum(prod(tensor.shape) for tensor in metadata.tensors.values())
    return Merged(metadata.step, len(metadata.tensors), parameters)


def refuse_to_overwrite(into: Path, *, replace: bool) -> None:
    """Refuse a directory that is not free for an adapter.

    Raises:
        FileExistsError: something is there that is not to be lost.
    """
    if not os.path.lexists(into) or (into.is_dir() and not any(into.iterdir())):
        return
    if not (into / CONFIG).is_file() or (into / NAME).exists():
        raise FileExistsError(f"{into} is there, and is no merged adapter: name another directory")
    if not replace:
        raise FileExistsError(f"{into} holds an adapter already: --force replaces it")


def _whole(tensors: Mapping[str, TensorInfo], shards: Sequence[Path]) -> memoryview:
    """Return the bytes of a safetensors file of the whole tensors."""
    start, begins = headers.write_header({n: (t.dtype, t.shape) for n, t in tensors.items()})
    widths = {name: headers.TYPES[each.dtype][1] for name, each in tensors.items()}
    size = sum(prod(each.shape) * widths[name] for name, each in tensors.items())
    data = memoryview(bytearray(len(start) + size))
    data[: len(start)] = start
    for shard in shards:
        source = memoryview(shard.read_bytes())
        for name, piece in headers.read_header(shard).items():
            _put(data[begins[name] :], source[piece.begin :], piece, widths[name])
    return data


def _put(target: memoryview, source: memoryview, piece: headers.Held, width: int) -> None:
    """Copy a piece to its place in a tensor; both are in row-major order, `width` bytes a number.

    Whole rows are one run of bytes; where only some columns are in the piece, each row is a run.
    """
    whole, size = piece.whole.shape, piece.shape
    cut = max((at for at, length in enumerate(whole) if size[at] != length), default=0)
    run = prod(size[cut:]) * width
    below = [prod(whole[at + 1 :]) * width for at in range(len(whole))]
    corner = sum(at * step for at, step in zip(piece.offset, below, strict=True))
    for number, index in enumerate(itertools.product(*map(range, size[:cut]))):
        at = corner + sum(row * step for row, step in zip(index, below, strict=False))
        target[at : at + run] = source[number * run : (number + 1) * run]


def _commit(staging: Path, into: Path) -> None:
    """Put the new directory in its place, and delete the old one then."""
    old = into.with_name(f".{into.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    files.sync(staging)
    if into.is_dir():
        into.rename(old)
    staging.rename(into)
    files.sync(into.parent)
    shutil.rmtree(old, ignore_errors=True)
