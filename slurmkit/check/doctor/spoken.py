"""What processes wrote down on their own end, beside the logs: status.json, torch's error files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.check.doctor.cause import causes
from slurmkit.check.doctor.event import Event, Line, Log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.check.doctor.reports import Reports
    from slurmkit.launch.rundir import RunDirectory

_SILENT = ("noise", "start", "joined", "aftermath")
_LARGEST = 1 << 20  # bytes of an error file


def word_of(run: RunDirectory) -> Line | None:
    """Return why a job failed by its own word, in status.json; None where it has not said so."""
    status = run.status() or {}
    reason = status.get("reason")
    if status.get("state") != "failed" or not isinstance(reason, str) or not reason.strip():
        return None
    return Line(str(run.path / "status.json"), 1, " ".join(reason.split())[:500])


def events_of_word(word: Line | None, number: int) -> list[Event]:
    """Return the cause that a job's own word names, as a line behind all logs; that of rank 0."""
    for cause in causes() if word else ():
        match = cause.search(word.text) if word and cause.kind not in _SILENT else None
        if word and match:
            node = match.groupdict().get("node")
            rank = None if cause.kind == "first" else 0
            return [Event(cause, word, (number, 0), word.text, rank, node)]
    return []


def in_words(end: Event) -> Event:
    """Return a simulation's line on the end of its job with what it tells people: who, and how."""
    try:
        told = json.loads(end.line.text)
        words = str(told.get("first") or told["state"])
    except (ValueError, KeyError, AttributeError):
        return end
    return replace(end, text=words)


def of_error_files(reports: Reports, logs: Sequence[Log]) -> list[Log]:
    """Return the error files that torchrun's report names, where they can be read from here.

    A worker under torch's `record` leaves its traceback there (torch.distributed.elastic,
    "Error Propagation").
    """
    known = {log.path.resolve() for log in logs}
    named = {
        Path(one.error_file): Log(Path(one.error_file), one.rank, one.node)
        for one in reports.workers
        if one.error_file and not one.by_another
    }
    return [log for path, log in named.items() if path.resolve() not in known and _is_small(path)]


def _is_small(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= _LARGEST and os.access(path, os.R_OK)
    except OSError:
        return False
