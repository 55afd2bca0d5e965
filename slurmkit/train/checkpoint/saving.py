"""One save, on one rank: write files into a staging folder, then make it the checkpoint.

Killed at any moment, a directory holds whole checkpoints and perhaps a staging folder.
"""

from __future__ import annotations

import json
import shutil
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit import __version__
from slurmkit.train.checkpoint import files, metadata
from slurmkit.train.checkpoint.metadata import CheckpointError, FileInfo, Metadata
from slurmkit.train.checkpoint.shards import is_sharded, piece_of, serialize, whole_of
from slurmkit.train.checkpoint.verify import check_tensors, expected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from slurmkit.train.checkpoint.contents import Contents
    from slurmkit.train.checkpoint.folders import Folder, Place

Files = dict[str, FileInfo]
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Report:
    """What a rank tells the others when it has written its files."""

    error: str
    """Why it could not; empty if it could."""
    time: float
    """Seconds since 1970."""
    bytes: int
    """What it wrote, the files that only the leaders know of included."""
    files: Files
    """The shards and random states that it wrote."""

    def text(self) -> str:
        """Return it as one short line: every rank gets the line of every other."""
        rows = {
            name.removesuffix(_SUFFIX): (b64encode(bytes.fromhex(file.sha256)).decode(), file.bytes)
            for name, file in self.files.items()
        }
        return json.dumps([self.error, self.time, self.bytes, rows], separators=(",", ":"))

    @staticmethod
    def read(text: str) -> Report:
        """Return the report that a line holds."""
        error, time, size, rows = json.loads(text)
        info = {
            name + _SUFFIX: FileInfo(sha256=b64decode(row[0]).hex(), bytes=row[1])
            for name, row in rows.items()
        }
        return Report(error, time, size, info)


@dataclass
class Saving:
    """A save on its way."""

    step: int
    contents: Contents
    final: Path
    """The checkpoint to be."""
    staging: Path
    """Where the files are until all are there; its name holds the attempt."""
    replaced: Path
    """Where a checkpoint of the same step is until the new one is committed."""
    folder: Folder
    place: Place
    rank: int
    _committed: bool = False

    @property
    def leads(self) -> bool:
        """Tell the rank that commits in this directory."""
        return self.rank == self.folder.ranks[0]

    def write(self) -> tuple[Files, Files]:
        """Write this rank's files.

        Returns:
            The shards and random states, and what each directory's leader writes alike.
        """
        contents, mine = self.contents, {}
        if self.folder.writes:
            shard = self.place.shard
            mine[metadata.model_file(shard)] = self._my_part(contents.model)
            if contents.optimizer is not None:
                mine[metadata.optimizer_file(shard)] = self._my_part(contents.optimizer)
        if contents.rank_state is not None:
            mine[metadata.rng_file(self.rank)] = contents.rank_state
        written = {
            name: files.write(
                self.staging / name,
                serialize({key: piece_of(tensor) for key, tensor in tensors.items()}),
            )
            for name, tensors in mine.items()
        }
        alike = {
            name: files.write(self.staging / name, [data]) for name, data in self._alike().items()
        }
        for parent in {(self.staging / name).parent for name in (*written, *alike)}:
            files.sync(parent)
        return written, alike

    def commit(self, reports: Sequence[Report], alike: Files, metric: float | None) -> None:
        """Make a checkpoint of the staging folder, in this directory. For its leader.

        Args:
            reports: what each rank wrote.
            alike: what this one wrote besides.
            metric: how good the model is; lower is better.

        Raises:
            CheckpointError: the shards do not make up the tensors, or replicas differ.
            OSError: the disk is full, read-only or gone.
        """
        about = self._metadata(reports, alike, metric)
        check_tensors(self.staging, about, expected(about, self.folder.place))
        files.write(self.staging / metadata.NAME, [metadata.text(about).encode()])
        files.sync(self.staging)
        if self.final.exists():
            self.final.rename(self.replaced)
        self.staging.replace(self.final)
        self._committed = True
        files.sync(self.final.parent)

    def undo(self) -> None:
        """Take back what was done in this directory, for a rank has failed. For its leader."""
        if self._committed:
            self.final.rename(self.staging)
        if self.replaced.exists():
            self.replaced.rename(self.final)
        shutil.rmtree(self.staging, ignore_errors=True)

    def finish(self) -> None:
        """Delete the checkpoint of the same step that this one has replaced. For the leader."""
        shutil.rmtree(self.replaced, ignore_errors=True)

    def _my_part(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leave what every rank holds whole to the one that leads."""
        if self.leads:
            return dict(tensors)
        return {name: each for name, each in tensors.items() if is_sharded(each)}

    def _alike(self) -> dict[str, bytes]:
        if not self.leads:
            return {}
        if self.contents.state is None:
            return self.contents.files
        state = json.dumps(self.contents.state, indent=1).encode()
        return self.contents.files | {metadata.STATE: state}

    def _metadata(self, reports: Sequence[Report], alike: Files, metric: float | None) -> Metadata:
        optimizer = self.contents.optimizer
        return Metadata(
            step=self.step,
            num_shards=self.place.shards,
            world_size=len(reports),
            mesh=self.place.mesh,
            global_batch=self.contents.global_batch,
            mode="lite" if optimizer is None else "full",
            metric=metric,
            tensors={name: whole_of(each) for name, each in self.contents.model.items()},
            optimizer_tensors={name: whole_of(each) for name, each in (optimizer or {}).items()},
            files=_placed(reports, alike, self.folder.places),
            slurmkit=__version__,
            time=reports[0].time,
        )


def _placed(reports: Sequence[Report], alike: Files, places: Sequence[str]) -> Files:
    """Return all files with the directories that hold them; none where all share one."""
    found: dict[str, tuple[int, FileInfo, list[str]]] = {}
    for rank, report in enumerate(reports):
        for name, info in report.files.items():
            first, known, held = found.setdefault(name, (rank, info, []))
            if known != info:
                raise CheckpointError(f"{name} differs on ranks {first} and {rank}: replicas drift")
            held += places[rank : rank + 1]
    everywhere = tuple(dict.fromkeys(places))
    result = {
        name: FileInfo(sha256=info.sha256, bytes=info.bytes, places=tuple(held))
        for name, (_, info, held) in found.items()
    }
    return result | {
        name: FileInfo(sha256=info.sha256, bytes=info.bytes, places=everywhere)
        for name, info in alike.items()
    }
