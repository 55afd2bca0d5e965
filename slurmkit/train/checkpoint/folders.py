"""Which ranks see one checkpoint directory, and who writes what into it.

A directory may be one for all nodes, or each node's own under the same name. A marker file tells.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.train.checkpoint import rotation
from slurmkit.train.checkpoint.metadata import CheckpointError, Mesh

if TYPE_CHECKING:
    from slurmkit.train.control import Control


@dataclass(frozen=True)
class Place:
    """Which piece of the sharded tensors a rank holds."""

    shard: int = 0
    """Number of the piece, from 0."""
    shards: int = 1
    """Number of pieces that make up the tensors."""
    replica: int = 0
    """Which copy of it, from 0."""
    replicas: int = 1
    """Number of copies."""

    @property
    def mesh(self) -> Mesh:
        """Return the shape of the whole."""
        return Mesh(replicate=self.replicas, shard=self.shards)


@dataclass(frozen=True)
class Folder:
    """The directory as one rank sees it."""

    ranks: tuple[int, ...]
    """The ranks that see the same one, rising; the first leads."""
    place: str
    """``node:/directory`` of the one who leads."""
    places: tuple[str, ...]
    """The same of each rank; empty if all ranks see one directory."""
    writes: bool
    """Whether this rank writes the shard that it holds: one rank a directory does."""
    token: str
    """Of this process group, to tell its unfinished work from that of others."""


def look(directory: Path, control: Control, place: Place) -> Folder:
    """Find out who shares the directory, and clear what dead jobs left in it. Collective.

    Raises:
        CheckpointError: a rank cannot write there, or the ranks' places contradict each other.
    """
    token = control.texts(secrets.token_hex(4))[0]
    rank = control.rank
    marker = directory / f".rank{rank}-{token}"
    problem = ""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError as error:
        problem = f"{directory}: no checkpoint can be written here: {error.strerror} (rank {rank})"
    problem = next(filter(None, control.texts(problem)), "")
    if problem:
        raise CheckpointError(problem)
    seen = (other for other in range(rank) if (directory / f".rank{other}-{token}").exists())
    first = next(seen, rank)
    if first == rank:
        with suppress(OSError):  # the others do not wait for it; what is left is in nobody's way
            rotation.sweep(directory, token)
    rows = [(int(row[0]), int(row[1])) for row in control.rows([first, place.shard])]
    marker.unlink(missing_ok=True)
    if {shard for _, shard in rows} != set(range(place.shards)):
        raise CheckpointError(f"{place} contradicts the other ranks' shards {rows}")
    node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    places = control.texts(f"{node}:{directory.resolve()}")
    return Folder(
        ranks=tuple(other for other, row in enumerate(rows) if row[0] == first),
        place=places[first],
        places=tuple(places[row[0]] for row in rows) if len({row[0] for row in rows}) > 1 else (),
        writes=rank == rows.index((first, place.shard)),
        token=token,
    )
