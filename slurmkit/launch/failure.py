"""Which rank of a job failed first, read from what its job left behind.

torchrun names the first of its workers that failed (the report's "Root Cause"); an agent a node,
so that there may be several, of which those ended by another's end (SIGTERM) count least. Its times
are in seconds, and a rank that lost its peer may be gone before that peer is: of ranks with a
traceback, the one whose came first is the first, even if SIGTERM ended it before it was gone by
itself. srun names tasks.
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from slurmkit.launch.rundir import RankLog, RunDirectory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LAST = 256 * 1024  # bytes of an output that are read
_ATTEMPT = re.compile(r"^.*slurmkit: \d+ x \d+ processes meet at ", re.MULTILINE)
_FIELDS = (
    r"\btime\s*:\s*(?P<time>\d{4}-\S+)"
    r".*?\brank\s*:\s*(?P<rank>\d+).*?\bexitcode\s*:\s*(?P<code>-?\d+)"
)
_FAILED = re.compile(_FIELDS, re.DOTALL)
_CAUSE = re.compile(r"Root Cause \(first observed failure\).*?" + _FIELDS, re.DOTALL)
_TASK = re.compile(r"srun: error: (?P<node>[^\s:]+): task (?P<task>\d+): (?P<how>.+)")
_TOLD_TO_END = re.compile(r"Terminated|Exited with exit code 143\b")
_CODE = re.compile(r"Exited with exit code (\d+)")
_TRACEBACK = re.compile(r"(\[rank\d+\]:? ?)?Traceback \(most recent call last\):")
_ERROR = re.compile(r"(?:\[rank\d+\]:? ?)?[^\W\d][\w.]*(:.*)?")
_LEAD = re.compile(r"\[rank\d+\]: ")  # torch puts it before tracebacks
_OF_RANK = re.compile(r"\[rank(\d+)\] (.*)")
_LINES = 6  # of a log, as its last words
_AFTERMATH = 200  # lines that torch writes at most while it aborts
_ENDED_BY_ANOTHER = (-signal.SIGTERM, 128 + signal.SIGTERM)
_KILLED = ("(signal 9)", "(Killed)")  # no exception does that
_NO_HANDLER = {
    "User defined signal 1": "signal USR1, for which it has no handler",
    "User defined signal 2": "signal USR2, for which it has no handler",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The first rank, or task, that failed."""

    rank: int | None
    """None where only the task of an agent is known."""
    text: str
    """Who, where and how: `rank 3 on node2 (exit code 1)`."""
    log: Path | None
    attempt: str | None = field(default=None, repr=False, compare=False)
    """What the job's output has of the last attempt; None where all of the output is of it."""

    def last_words(self) -> list[str]:
        """Return the last lines of its log, up to the exception that ended it."""
        lines = _tail(self.log).splitlines() if self.log else []
        lines = [line.rstrip() for line in lines if line.strip()]
        raised = None if self.text.endswith(_KILLED) else _last_traceback(lines)
        if raised and (self.attempt is None or lines[raised.end][:200] in self.attempt):
            del lines[raised.end + 1 :]  # threads that Python left behind abort, and say so
        return [_LEAD.sub("", line) for line in lines[-_LINES:]]


def first_failure(run: RunDirectory) -> Failure | None:
    """Return the first that failed in the last attempt; None where nothing tells."""
    text = _tail(run.output)
    starts = [match.end() for match in _ATTEMPT.finditer(text)]
    text = text[starts[-1] :] if starts else text
    logs: dict[int, RankLog] = {}
    for log in sorted(run.rank_logs(), key=_written):  # a requeued job may change its nodes
        logs[log.rank] = log
    found = _of_torchrun(text, logs) or _of_srun(text, logs)
    return replace(found, attempt=text) if found and starts else found


def _of_torchrun(text: str, logs: dict[int, RankLog]) -> Failure | None:
    causes = list(_CAUSE.finditer(text))
    if not causes:
        return None

    def order(cause: re.Match[str]) -> tuple[bool, str, float]:
        """Sort by torchrun's time, which is in seconds, then by when the rank fell silent."""
        log = logs.get(int(cause["rank"]))
        return _is_of_another(cause), cause["time"], _written(log) if log else 0.0

    first = min(causes, key=order)
    tracebacks = _tracebacks(text)
    raised = [
        cause
        for cause in _FAILED.finditer(text)
        if (found := tracebacks.get(int(cause["rank"]))) and (found[1] or not _is_of_another(cause))
    ]
    aborted = int(first["code"]) == -signal.SIGABRT
    if raised and (aborted or int(first["rank"]) in tracebacks):
        first = min(raised, key=lambda cause: tracebacks[int(cause["rank"])][0])
    rank = int(first["rank"])
    log = logs.get(rank)
    where = f" on {log.node}" if log else ""
    return Failure(
        rank, f"rank {rank}{where} ({_how(int(first['code']))})", log.path if log else None
    )


def _is_of_another(cause: re.Match[str]) -> bool:
    return int(cause["code"]) in _ENDED_BY_ANOTHER


def _how(code: int) -> str:
    if code in _ENDED_BY_ANOTHER:
        return "ended by SIGTERM"
    if code >= 0:
        return f"exit code {code}"
    return _NO_HANDLER.get(signal.strsignal(-code) or "", f"signal {-code}")


@dataclass(frozen=True, slots=True)
class _Raised:
    """The last traceback of a rank."""

    begin: int
    end: int
    """The line that names the exception."""
    is_uncaught: bool
    """Whether it surely ended the rank: nothing follows, or torch led it by the rank's name."""


def _last_traceback(lines: Sequence[str]) -> _Raised | None:
    for begin in range(len(lines) - 1, max(len(lines) - _AFTERMATH, 0) - 1, -1):
        if (match := _TRACEBACK.match(lines[begin])) is not None:
            below = range(begin + 1, len(lines))
            end = next((at for at in below if _ERROR.fullmatch(lines[at].rstrip())), None)
            if end is None:
                return None
            return _Raised(begin, end, end == len(lines) - 1 or bool(match[1]))
    return None


def _tracebacks(text: str) -> dict[int, tuple[int, bool]]:
    """Return where in the output each rank's last traceback begins, and whether it is uncaught."""
    said: dict[int, list[re.Match[str]]] = {}
    for match in _OF_RANK.finditer(text):
        said.setdefault(int(match[1]), []).append(match)
    found = {}
    for rank, lines in said.items():
        if (raised := _last_traceback([line[2] for line in lines])) is not None:
            found[rank] = lines[raised.begin].start(), raised.is_uncaught
    return found


def _of_srun(text: str, logs: dict[int, RankLog]) -> Failure | None:
    # Those that SIGTERM ended tell only of another one's end, or of that of the whole job.
    first = next((t for t in _TASK.finditer(text) if not _TOLD_TO_END.match(t["how"])), None)
    if first is None:
        return None
    task, node = int(first["task"]), first["node"]
    code = _CODE.match(first["how"])
    how = f"exit code {code[1]}" if code else first["how"].strip()
    how = _NO_HANDLER.get(how, how)
    log = logs.get(task)
    if log is None or log.node != node:
        return Failure(None, f"task {task} on {node} ({how})", None)
    return Failure(task, f"rank {task} on {node} ({how})", log.path)


def _written(log: RankLog) -> float:
    try:
        return log.path.stat().st_mtime
    except OSError:
        return 0.0


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LAST))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
