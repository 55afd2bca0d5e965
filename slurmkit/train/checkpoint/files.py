"""Files and folders that are whole or not there, on disk and not only in memory. No torch."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

from slurmkit.train.checkpoint.metadata import FileInfo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write(path: Path, chunks: Iterable[bytes | memoryview]) -> FileInfo:
    """Write a file, sync it and give it its name; return its digest and size.

    Raises:
        OSError: the disk is full, read-only or gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    digest, size = hashlib.sha256(), 0
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(part)  # a write that fails does not say where
        raise
    part.rename(path)
    return FileInfo(sha256=digest.hexdigest(), bytes=size)


def sync(directory: Path) -> None:
    """Put the names in a directory on disk: until then a renamed file may have its old name."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path, token: str) -> None:
    """Delete a folder; killed in the midst of it, none is left that looks like a checkpoint."""
    if not folder.name.startswith("."):
        folder = folder.rename(folder.with_name(f".deleted-{folder.name}.{token}"))
    shutil.rmtree(folder)
