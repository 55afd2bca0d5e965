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

from ..timed import reason

WHOLE = 4 << 20
"""Bytes up to which a file is read as a whole."""
_BLOCK = 64 << 10
_BLOCKS = 14  # beside the first and the last
_MOST_READ = 2000
_MOST_FILES = 2_000_000
_THREADS = 8
_SHOWN = 20  # files that cannot be read, of all
_NOBODYS = "lost+found"  # at the top of a file system, for root alone
_PARTS = 256
NOWHERE = -1
"""The size of a link that leads nowhere."""


def look(path: str, seconds: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a path holds, and the checksums by file."""
    deadline = time.monotonic() + seconds
    top = os.path.expanduser(path)  # noqa: PTH111
    try:
        os.stat(top)  # noqa: PTH116
    except OSError as error:
        raise OSError(0, f"{reason(error)}: {os.path.abspath(top)}") from None  # noqa: PTH100
    unreadable: dict[str, str] = {}
    sizes = dict(files_in(top, deadline, unreadable))
    if "" in unreadable:
        raise OSError(0, unreadable[""])
    chosen = choose(sorted(sizes))
    checksums: dict[str, str] = {}

    def read(name: str) -> None:
        if time.monotonic() < deadline:
            try:
                checksums[name] = checksum(os.path.join(top, name) if name else top)  # noqa: PTH118
            except OSError as error:
                if sizes[name] != NOWHERE:
                    unreadable[name] = reason(error)

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(read, chosen))
    for name, size in sizes.items():
        checksums.setdefault(name, f"{size} bytes")
    listing = "\n".join(f"{name}\0{sizes[name]}" for name in sorted(sizes))
    sums = "\n".join(f"{name}\0{checksums[name]}" for name in chosen)
    facts = {
        "files": len(sizes),
        "bytes": sum(size for size in sizes.values() if size != NOWHERE),
        "read": len(chosen),
        "unreadable": sorted(unreadable.items())[:_SHOWN],
        "lost": len(unreadable),
        "late": time.monotonic() >= deadline,
        "top": os.path.abspath(top) + "/" * os.path.isdir(top),  # noqa: PTH100, PTH112
        "listing": hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()[:16],
        "sums": hashlib.sha256(sums.encode(errors="surrogateescape")).hexdigest()[:16],
    }
    return facts, checksums


def files_in(top: str, deadline: float, unreadable: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Give the files below a path with their sizes, by relative path; a file is itself, as ''.

    Links are followed, but for those that lead back to a directory above; a link to nowhere has no
    size. What cannot be listed goes into `unreadable`, with why.
    """
    if not os.path.isdir(top):  # noqa: PTH112
        yield "", os.stat(top).st_size  # noqa: PTH116
        return
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    count = 0
    while waiting and count <= _MOST_FILES and time.monotonic() < deadline:
        name, above = waiting.pop()
        path = os.path.join(top, name)  # noqa: PTH118
        try:
            found = os.stat(path)  # noqa: PTH116
            if (found.st_dev, found.st_ino) in above:
                continue
            here = above | {(found.st_dev, found.st_ino)}
            entries = sorted(os.listdir(path))  # noqa: PTH208  the same order on every node
        except OSError as error:
            unreadable[name] = reason(error)
            continue
        for entry in entries:
            inside = os.path.join(name, entry)  # noqa: PTH118
            count += 1
            try:
                found = os.stat(os.path.join(path, entry))  # noqa: PTH116, PTH118
            except FileNotFoundError:
                yield inside, NOWHERE
            except OSError as error:
                unreadable[inside] = reason(error)
            else:
                if stat.S_ISDIR(found.st_mode):
                    if entry != _NOBODYS and not entry.startswith(".slurmkit-preflight"):
                        waiting.append((inside, here))
                elif stat.S_ISREG(found.st_mode):  # a pipe would be waited for
                    yield inside, found.st_size


def choose(names: list[str]) -> list[str]:
    """Return which files are read: all, or of very many those whose names hash lowest."""
    if len(names) <= _MOST_READ:
        return names

    def rank(name: str) -> bytes:
        return hashlib.sha256(name.encode(errors="surrogateescape")).digest()

    return sorted(sorted(names, key=rank)[:_MOST_READ])


def checksum(path: str) -> str:
    """Return the checksum of a file, of a large one that of some of its blocks."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        size = os.fstat(file.fileno()).st_size
        digest.update(b"%d " % size)
        if size <= WHOLE:
            digest.update(file.read())
        else:
            for place in places(size):
                file.seek(place)
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()[:16]


def part_of(name: str) -> int:
    """Return in which of some parts a file is told of."""
    return hashlib.sha256(name.encode(errors="surrogateescape")).digest()[0] % _PARTS


def parts(checksums: dict[str, str]) -> list[str]:
    """Return a checksum for each part of the files: what differs is in parts that differ."""
    digests = [hashlib.sha256() for _ in range(_PARTS)]
    for name in sorted(checksums):
        text = f"{name}\0{checksums[name]}\n"
        digests[part_of(name)].update(text.encode(errors="surrogateescape"))
    return [digest.hexdigest()[:16] for digest in digests]


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
