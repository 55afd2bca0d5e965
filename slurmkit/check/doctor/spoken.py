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
            is_of_all = cause.kind == "first" or not word.line  # Slurm's word
            rank = None if is_of_all else 0
            return [Event(cause, word, (number, 0), word.text, rank, node)]
    return []


def in_words(end: Event) -> Event:
    """Return a simulation's line on the end of its job with what it tells people: who, and how."""
    line = end_in_words(end.line)
    return replace(end, line=line, text=line.text)


def end_in_words(line: Line) -> Line:
    """Return such a line as people say it: `rank 3 on node1: signal 9`."""
    try:
        told = json.loads(line.text)
        first, state = told.get("first"), told["state"]
    except (ValueError, KeyError, AttributeError):
        return line
    if not isinstance(first, str) or not first:
        return replace(line, text=f"Slurm says {state}")
    return replace(line, text=first.replace(" (", ": ").rstrip(")"))


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
