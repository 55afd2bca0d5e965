"""All that is wrong with a checkpoint, file by file. No torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from slurmkit.train.checkpoint.headers import Held, read_header
from slurmkit.train.checkpoint.metadata import (
    NAME,
    CheckpointError,
    FileInfo,
    Metadata,
    TensorInfo,
    folder_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_BLOCK = 1 << 22


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file."""

    file: str
    """Its path inside the checkpoint."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def check(folder: Path, metadata: Metadata, *, adapter_only: bool = False) -> list[Problem]:
    """Read a checkpoint's files and return all that is wrong with them.

    Args:
        folder: the checkpoint.
        metadata: what its metadata.json says.
        adapter_only: leave out the optimizer and the state.
    """
    names = adapter_files(metadata) if adapter_only else list(metadata.files)
    wrongs = {name: wrong(folder, name, metadata) for name in names}
    found = [Problem(name, what) for name, what in wrongs.items() if what]
    if not adapter_only:
        found += foreign(folder, metadata)
    return found or uncovered(folder, metadata, names, optimizer=not adapter_only)


def adapter_files(metadata: Metadata) -> list[str]:
    """Return the files of a checkpoint that make up the adapter: no optimizer, no state."""
    return [name for name in metadata.files if "/" not in name]


def wrong(folder: Path, name: str, metadata: Metadata) -> str | None:
    """Tell what is wrong with one file of a checkpoint, and where it was saved; None: nothing."""
    what, places = changed(folder / name, metadata.files[name]), saved_at(name, metadata)
    return f"{what}, saved at {places}" if what and places else what


def changed(path: Path, written: FileInfo) -> str | None:
    """Tell how a file differs from the one that was saved; None: not at all."""
    try:
        size = path.stat().st_size
        if size != written.bytes:
            return f"damaged: has {size} bytes, and had {written.bytes} when it was saved"
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if digest.hexdigest() != written.sha256:
        return "damaged, or of another checkpoint: its sha256 is not that of the saved file"
    return None


def saved_at(name: str, metadata: Metadata) -> str:
    """Tell on which nodes' disks a file was saved; nothing where all of them share one."""
    folder = folder_name(metadata.step)
    return " and ".join(f"{place}/{folder}" for place in metadata.files[name].places)


def foreign(folder: Path, metadata: Metadata) -> list[Problem]:
    """Return the shards that metadata does not name; some readers would take them for its own."""
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors"))
    names = sorted(name for name in there if name not in metadata.files)
    return [Problem(name, f"foreign: not in {NAME}: move it away") for name in names]


def uncovered(
    folder: Path, metadata: Metadata, names: Sequence[str], *, optimizer: bool
) -> list[Problem]:
    """Return the tensors of which some elements are in no shard, or in two.

    Args:
        folder: the checkpoint.
        metadata: what its metadata.json says.
        names: the files to look into; those that are no shards are passed over.
        optimizer: whether the optimizer's tensors have to be there as well.
    """
    found = _gaps(folder, metadata.tensors, [name for name in names if is_model_file(name)])
    if optimizer and metadata.mode == "full":
        shards = [name for name in names if name.startswith("optimizer/")]
        found += _gaps(folder, metadata.optimizer_tensors, shards)
    return found


def is_model_file(name: str) -> bool:
    """Tell the name of a shard of the model."""
    return name.startswith("adapter_model.rank")


def _gaps(folder: Path, tensors: Mapping[str, TensorInfo], shards: Sequence[str]) -> list[Problem]:
    held: dict[str, list[Held]] = {name: [] for name in tensors}
    for shard in shards:
        try:
            pieces = read_header(folder / shard)
        except CheckpointError as error:
            return [Problem(shard, str(error).removeprefix(f"{folder / shard}: "))]
        for name, piece in pieces.items():
            if name not in tensors:
                return [Problem(shard, f"holds {name}, which {NAME} does not name")]
            held[name].append(piece)
    gaps = {name: _gap(whole, held[name]) for name, whole in tensors.items()}
    return [Problem(NAME, f"{name}: {what}") for name, what in gaps.items() if what]


def _gap(whole: TensorInfo, parts: Sequence[Held]) -> str | None:
    """Tell why pieces do not make up a tensor, each element once; None: they do."""
    for part in parts:
        if part.whole != whole:
            return f"{part.path.name} holds a piece of {_words(part.whole)}, not of {_words(whole)}"
    dims = range(len(whole.shape))
    cut = {at for part in parts for at in dims if part.shape[at] != whole.shape[at]}
    if not cut:  # where nodes share no directory, each has its own copy of what is not sharded
        return None if parts or not prod(whole.shape) else "is in 0 files"
    if len(cut) > 1:
        return f"is cut along dimensions {sorted(cut)}"
    at, end = cut.pop(), 0
    for part in sorted(parts, key=lambda part: part.offset[at]):
        if part.offset[at] != end:
            what = "in no file" if part.offset[at] > end else "in two files"
            low, high = sorted((end, part.offset[at]))
            return f"{low} to {high} of dimension {at} are {what}"
        end += part.shape[at]
    length = whole.shape[at]
    return None if end == length else f"{end} to {length} of dimension {at} are in no file"


def _words(whole: TensorInfo) -> str:
    return f"{whole.dtype}{list(whole.shape)}"
