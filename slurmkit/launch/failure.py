"""Which rank of a job failed first, read from what its job left behind.

torchrun names the first of its workers that failed (the report's "Root Cause"); an agent a node,
so that there may be several, of which those ended by another's end (SIGTERM) count least. srun
names tasks.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit.launch.rundir import RankLog, RunDirectory

if TYPE_CHECKING:
    from pathlib import Path

_LAST = 256 * 1024  # bytes of an output that are read
_ATTEMPT = re.compile(r"^.*slurmkit: \d+ x \d+ processes meet at ", re.MULTILINE)
_CAUSE = re.compile(
    r"Root Cause \(first observed failure\).*?\btime\s*:\s*(?P<time>\S+)"
    r".*?\brank\s*:\s*(?P<rank>\d+).*?\bexitcode\s*:\s*(?P<code>-?\d+)",
    re.DOTALL,
)
_TASK = re.compile(r"srun: error: (?P<node>[^\s:]+): task (?P<task>\d+): (?P<how>.+)")
_TOLD_TO_END = re.compile(r"Terminated|Exited with exit code 143\b")
_CODE = re.compile(r"Exited with exit code (\d+)")
_LINES = 6  # of a log, as its last words
_SIGTERM = -15


@dataclass(frozen=True, slots=True)
class Failure:
    """The first rank, or task, that failed."""

    rank: int | None
    """None where only the task of an agent is known."""
    text: str
    """Who, where and how: `rank 3 on node2 (exit code 1)`."""
    log: Path | None

    def last_words(self) -> list[str]:
        """Return the last lines of its log."""
        lines = _tail(self.log).splitlines() if self.log else []
        return [line.rstrip() for line in lines if line.strip()][-_LINES:]


def first_failure(run: RunDirectory) -> Failure | None:
    """Return the first that failed in the last attempt; None where nothing tells."""
    text = _tail(run.output)
    starts = [match.end() for match in _ATTEMPT.finditer(text)]
    text = text[starts[-1] :] if starts else text
    logs: dict[int, RankLog] = {}
    for log in sorted(run.rank_logs(), key=_written):  # a requeued job may change its nodes
        logs[log.rank] = log
    return _of_torchrun(text, logs) or _of_srun(text, logs)


def _of_torchrun(text: str, logs: dict[int, RankLog]) -> Failure | None:
    causes = list(_CAUSE.finditer(text))
    if not causes:
        return None

    def order(cause: re.Match[str]) -> tuple[bool, str, float]:
        """Sort by torchrun's time, which is in seconds, then by when the rank fell silent."""
        log = logs.get(int(cause["rank"]))
        return int(cause["code"]) == _SIGTERM, cause["time"], _written(log) if log else 0.0

    first = min(causes, key=order)
    rank, code = int(first["rank"]), int(first["code"])
    log = logs.get(rank)
    where = f" on {log.node}" if log else ""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Failure(rank, f"rank {rank}{where} ({how})", log.path if log else None)


def _of_srun(text: str, logs: dict[int, RankLog]) -> Failure | None:
    # Those that SIGTERM ended tell only of another one's end, or of that of the whole job.
    first = next((t for t in _TASK.finditer(text) if not _TOLD_TO_END.match(t["how"])), None)
    if first is None:
        return None
    task, node = int(first["task"]), first["node"]
    code = _CODE.match(first["how"])
    how = f"exit code {code[1]}" if code else first["how"].strip()
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
