"""Bring together a checkpoint whose shards lie in several places, such as the nodes' own disks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slurmkit.train.checkpoint.check import adapter_files, changed, saved_at
from slurmkit.train.checkpoint.metadata import NAME, CheckpointError, Metadata, read


@dataclass(frozen=True)
class Source:
    """A place that may hold parts of the checkpoint."""

    name: str
    """As the user wrote it: `node2:/local/checkpoint-100`."""
    bring: Callable[[Sequence[str], Path], str | None]
    """Puts those of the named files that it has into a directory; tells what went wrong."""


def local(folder: Path) -> Source:
    """Return a directory of this machine as a source; its files are linked, not copied."""

    def bring(names: Sequence[str], into: Path) -> str | None:
        if not folder.is_dir():
            return "there is no such directory"
        for name in names:
            if (folder / name).is_file():
                (into / name).symlink_to((folder / name).resolve())
        return None

    return Source(str(folder), bring)


def collect(sources: Sequence[Source], into: Path) -> list[str]:
    """Put the files of the adapter into an empty directory; return what was fetched from where.

    The first source that has a metadata.json says which files there are. Each further one is
    asked for what is still missing, and what is not as it was saved is not taken.

    Raises:
        CheckpointError: some are missing; each is named, with what every source said.
    """
    said: list[str] = []
    metadata = _metadata(sources, into, said)
    missing = set(adapter_files(metadata))
    taken = []
    for number, source in enumerate(sources):
        if not missing:
            break
        place = into / f".{number}"
        place.mkdir()
        why = source.bring(sorted(missing), place)
        if why:
            said.append(f"{source.name}: {why}")
        for path in sorted(place.iterdir()):
            what = changed(path, metadata.files[path.name])
            if what:
                said.append(f"{source.name}/{path.name}: {what}")
            else:
                os.replace(path, into / path.name)  # noqa: PTH105  it may be a link
                missing.discard(path.name)
                taken.append(f"{path.name} from {source.name}")
        shutil.rmtree(place)
    if missing:
        raise CheckpointError("\n".join([*_told(missing, sources, metadata), *dict.fromkeys(said)]))
    return taken


def _metadata(sources: Sequence[Source], into: Path, said: list[str]) -> Metadata:
    for source in sources:
        why = source.bring([NAME], into)
        if (into / NAME).exists():
            try:
                return read(into)
            except CheckpointError as error:
                raise CheckpointError(str(error).replace(str(into), source.name)) from None
        said.append(f"{source.name}: {why or f'there is no {NAME}'}")
    raise CheckpointError("\n".join([f"no {NAME}: these are no checkpoint", *said]))


def _told(missing: set[str], sources: Sequence[Source], metadata: Metadata) -> list[str]:
    asked = ", ".join(source.name for source in sources)
    lines = []
    for name in sorted(missing):
        places = saved_at(name, metadata)
        where = f"; it was saved at {places}: give that to --from" if places else ""
        lines.append(f"{name}: missing: asked {asked}{where}")
    return lines
