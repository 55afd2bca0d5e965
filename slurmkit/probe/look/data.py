"""What data paths hold: how many files, how large, and checksums that other nodes' can be held to.

Of a large file some blocks are read, of very many files some: the same ones on every node, since
they are chosen by size and name.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

WHOLE = 4 << 20
"""Bytes up to which a file is read as a whole."""
_BLOCK = 64 << 10
_BLOCKS = 14  # beside the first and the last
_MOST_READ = 2000
_MOST_FILES = 2_000_000
_THREADS = 8


def look(path: str, seconds: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a path holds, and the checksums by file."""
    deadline = time.monotonic() + seconds
    top = os.path.expanduser(path)  # noqa: PTH111
    os.stat(top)  # noqa: PTH116  says what is wrong with it
    sizes = dict(files_in(top, deadline))
    if os.path.isdir(top) and not os.access(top, os.R_OK | os.X_OK):  # noqa: PTH112
        raise PermissionError(13, "Permission denied")
    chosen = choose(sorted(sizes))
    checksums: dict[str, str] = {}

    def read(name: str) -> None:
        if time.monotonic() < deadline:
            checksums[name] = checksum(os.path.join(top, name) if name else top)  # noqa: PTH118

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(read, chosen))
    for name, size in sizes.items():
        checksums.setdefault(name, f"{size} bytes")
    listing = "\n".join(f"{name}\0{sizes[name]}" for name in sorted(sizes))
    sums = "\n".join(f"{name}\0{checksums[name]}" for name in chosen)
    facts = {
        "files": len(sizes),
        "bytes": sum(sizes.values()),
        "read": len(chosen),
        "late": time.monotonic() >= deadline,
        "top": os.path.abspath(top) + "/" * os.path.isdir(top),  # noqa: PTH100, PTH112
        "listing": hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()[:16],
        "sums": hashlib.sha256(sums.encode(errors="surrogateescape")).hexdigest()[:16],
    }
    return facts, checksums


def files_in(top: str, deadline: float) -> Iterator[tuple[str, int]]:
    """Give the files below a path with their sizes, by relative path; a file is itself, as ''."""
    if not os.path.isdir(top):  # noqa: PTH112
        yield "", os.stat(top).st_size  # noqa: PTH116
        return
    count = 0
    for directory, names, inside in os.walk(top):
        names[:] = [name for name in names if not name.startswith(".slurmkit-preflight")]
        for name in inside:
            path = os.path.join(directory, name)  # noqa: PTH118
            try:
                found = os.stat(path)  # noqa: PTH116
            except OSError:
                yield os.path.relpath(path, top), -1  # a link to nowhere
            else:
                if stat.S_ISREG(found.st_mode):  # a pipe would be waited for
                    yield os.path.relpath(path, top), found.st_size
            count += 1
        if count > _MOST_FILES or time.monotonic() > deadline:
            return


def choose(names: list[str]) -> list[str]:
    """Return which files are read: all, or of very many those whose names hash lowest."""
    if len(names) <= _MOST_READ:
        return names

    def rank(name: str) -> bytes:
        return hashlib.sha256(name.encode(errors="surrogateescape")).digest()

    return sorted(sorted(names, key=rank)[:_MOST_READ])


def checksum(path: str) -> str:
    """Return the checksum of a file, of a large one that of some of its blocks; or why not."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            size = os.fstat(file.fileno()).st_size
            digest.update(b"%d " % size)
            if size <= WHOLE:
                digest.update(file.read())
            else:
                for place in places(size):
                    file.seek(place)
                    digest.update(file.read(_BLOCK))
    except OSError as error:
        return str(error.strerror)
    return digest.hexdigest()[:16]


def places(size: int) -> list[int]:
    """Return where the blocks begin that are read of a large file: spread, and not in step."""
    last = size - _BLOCK
    seed = hashlib.sha256(b"%d" % size).digest()
    share = last // _BLOCKS
    inside = [
        share * at + int.from_bytes(seed[2 * at : 2 * at + 2], "big") * share // 65536
        for at in range(_BLOCKS)
    ]
    return [0, *inside, last]
