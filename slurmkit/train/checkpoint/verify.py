"""The ranks check a checkpoint together: each a share of the files, one the tensors. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.train.checkpoint.check import foreign, uncovered, wrong
from slurmkit.train.checkpoint.metadata import CheckpointError, Metadata

if TYPE_CHECKING:
    from pathlib import Path


def expected(metadata: Metadata, place: str) -> list[str]:
    """Return the names of the files that have to be in this copy of a checkpoint.

    Args:
        metadata: of the checkpoint.
        place: ``node:/directory`` where it was found. What was saved on several disks has only
            its part on each; in any other place it was collected, and all has to be there.
    """
    everything = place not in metadata.places()
    return [
        name
        for name, file in metadata.files.items()
        if everything or not file.places or place in file.places
    ]


def check_share(folder: Path, metadata: Metadata, names: list[str], mine: list[str]) -> None:
    """Check this rank's share of a checkpoint; the rank with the first file looks at tensors too.

    Args:
        folder: the checkpoint.
        metadata: what its metadata.json says.
        names: the files that have to be there.
        mine: those of them that this rank reads.

    Raises:
        CheckpointError: names the file, or the tensor.
    """
    for name in mine:
        if what := wrong(folder, name, metadata):
            raise CheckpointError(f"{folder / name}: {what}")
    if names[0] in mine:
        check_tensors(folder, metadata, names)


def check_tensors(folder: Path, metadata: Metadata, names: list[str]) -> None:
    """Check that no shard is foreign, and that they make up every tensor where all are here.

    Raises:
        CheckpointError: names the file, or the tensor.
    """
    found = foreign(folder, metadata)
    if not found and len(names) == len(metadata.files):
        found = uncovered(folder, metadata, names, optimizer=True)
    if found:
        raise CheckpointError(f"{folder}/{found[0]}")
