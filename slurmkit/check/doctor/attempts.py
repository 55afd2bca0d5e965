"""Where the last attempt begins in the log of a rank, which a requeued job goes on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.check.doctor.lines import read_line

if TYPE_CHECKING:
    from slurmkit.check.doctor.event import Log

_LARGEST = 4 << 20


def last_start(log: Log) -> int:
    """Return where the first line of a log stands for the last time; -1 where that tells nothing.

    Each attempt begins with the same line. One that is there more often than the job was started
    is no beginning.
    """
    try:
        if log.path.stat().st_size > _LARGEST:
            return -1
        data = log.path.read_bytes()
    except OSError:
        return -1
    first = b""
    found: list[int] = []
    at = 0
    for raw in data.split(b"\n"):
        first = first or (raw if _text(raw) else b"")
        if first and len(raw) == len(first) and _text(raw) == _text(first):
            found.append(at)
        at += len(raw) + 1
    return found[-1] if 1 < len(found) <= log.attempts else -1


def _text(raw: bytes) -> str:
    """Return what a line says, without the time before it."""
    return " ".join(said.text for said in read_line(raw))
