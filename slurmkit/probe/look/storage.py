"""The directories that a job writes to: room, the right to write, speed, and who else sees them."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from ..timed import reason
from .place import Place

_BLOCK = 1 << 20
_MOST = 64  # blocks
_SHARE = 0.5  # of what is free, for all nodes together: a look must not fill a disk
_LONGEST = 2.0  # seconds of writing
_PATIENCE = 6.0  # seconds for another node's file to show: NFS keeps what it knows for a while


def look(place: Place, path: str, token: str, nodes: int = 1) -> dict[str, Any]:
    """Write to a directory, as so many nodes do just now, and return how that went."""
    try:
        directory, missing = existing(path)
    except OSError as error:
        return {"directory": path, "error": reason(error), "errno": error.errno}
    facts: dict[str, Any] = {"directory": str(directory), "missing": missing}
    room = os.statvfs(directory)
    facts["free"] = room.f_bavail * room.f_frsize
    facts["inodes"] = room.f_favail if room.f_files else None
    facts["type"] = file_system(directory)
    own = directory / mark(token, place.number)
    place.files.append(str(own))
    try:
        facts["speed"] = write(own, int(_SHARE * facts["free"] / nodes / _BLOCK))
    except OSError as error:
        facts["error"] = str(error.strerror)
        facts["errno"] = error.errno
    return facts


def existing(path: str) -> Any:
    """Return a directory, or the nearest one above it that is there, and whether it was not."""
    wanted = Path(path).expanduser().absolute()
    for directory in (wanted, *wanted.parents):
        if directory.is_dir():
            return directory, directory != wanted
        if os.path.lexists(directory):
            raise NotADirectoryError(20, f"{directory} is no directory")
    return Path("/"), True


def mark(token: str, number: int) -> str:
    """Return the name of the file by which others see that a node has written."""
    return f".slurmkit-preflight-{token}-{number}"


def write(path: Path, blocks: int = _MOST) -> float:
    """Write for a moment, to the disk itself; return bytes a second. The file stays, cut short."""
    most = max(1, min(blocks, _MOST))
    block = os.urandom(_BLOCK)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        started = time.monotonic()
        count = 0
        while count < most and time.monotonic() - started < _LONGEST:
            if os.write(file, block) < len(block):  # the next one would say why
                os.write(file, block)
            count += 1
        os.fsync(file)
        seconds = max(time.monotonic() - started, 1e-6)
        return count * _BLOCK / seconds
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(file, 1)
        with contextlib.suppress(OSError):
            os.close(file)


def sees(path: str, token: str, numbers: list[int]) -> list[int]:
    """Return which nodes' files are not to be seen in a directory, after some patience."""
    directory, _ = existing(path)
    missing = list(numbers)
    deadline = time.monotonic() + _PATIENCE
    while missing and time.monotonic() < deadline:
        missing = [number for number in missing if not (directory / mark(token, number)).exists()]
        if missing:
            time.sleep(0.25)
            with contextlib.suppress(OSError):
                os.listdir(directory)  # noqa: PTH208  has NFS ask the server again
    return missing


def file_system(directory: Path) -> str:
    """Return the type of the file system that a directory is on, such as nfs4."""
    device = os.stat(directory).st_dev  # noqa: PTH116
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            words = line.split()
            if words[2] == wanted and " - " in line:
                return line.split(" - ", 1)[1].split()[0]
    return ""


def temporary() -> dict[str, int]:
    """Return the bytes that are free where programs keep what they share, and what is passing."""
    free = {}
    for path in ("/dev/shm", os.environ.get("TMPDIR") or "/tmp"):  # noqa: S108
        with contextlib.suppress(OSError):
            room = os.statvfs(path)
            free[path] = room.f_bavail * room.f_frsize
    return free
