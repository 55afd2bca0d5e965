"""Which rank failed first: noted while a job runs, told when it is over."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.nodes import node_name

if TYPE_CHECKING:
    from pathlib import Path

    from slurmkit.launch.simulate.cluster import Cluster
    from slurmkit.launch.simulate.nodes import Task

_FIELD = re.compile(rb"\s+(time|rank|exitcode)\s*:\s*(\S+)")


@dataclass(frozen=True)
class Failure:
    """A task, or a rank of torchrun's, that ended badly of itself."""

    step: int
    node: int
    task: int
    tasks: int
    """How many the step has."""
    rank: int | None
    """The rank that torchrun names; None where only the end of the task was seen."""
    code: int
    """Its exit code, -n where signal n ended it."""
    time: float


def note(cluster: Cluster, failure: Failure) -> None:
    """Write a failure down."""
    with cluster.failures.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(failure)) + "\n")


class RootCause:
    """Reads what a task writes for torchrun's report of the first of its workers that failed.

    The report (torch.distributed.elastic.multiprocessing.errors.ChildFailedError) has a line
    "Root Cause", and below it the fields of that worker.
    """

    def __init__(self, cluster: Cluster, step: int, task: Task, tasks: int) -> None:
        self._cluster = cluster
        self._place = (step, task.node, task.rank, tasks)
        self._fields: dict[bytes, bytes] | None = None

    def read(self, line: bytes) -> None:
        """Read one line."""
        if b"Root Cause (first observed failure)" in line:
            self._fields = {}
        elif self._fields is not None and (field := _FIELD.match(line)):
            self._fields[field[1]] = field[2]
            if field[1] == b"exitcode":
                self._note(self._fields)
                self._fields = None

    def _note(self, fields: dict[bytes, bytes]) -> None:
        try:
            when = time.mktime(time.strptime(fields[b"time"].decode(), "%Y-%m-%d_%H:%M:%S"))
            rank, code = int(fields[b"rank"]), int(fields[b"exitcode"])
        except (KeyError, ValueError):  # another version writes it in another way
            return
        note(self._cluster, Failure(*self._place, rank, code, when))


@dataclass(frozen=True)
class First:
    """The first rank that failed, as well as can be told."""

    text: str
    """Who, where and how."""
    log: Path | None
    """Its log file."""


def first_failure(cluster: Cluster, directory: Path | None) -> First | None:
    """Return the first that failed in the last step in which anything did."""
    if not cluster.failures.exists():
        return None
    lines = cluster.failures.read_text(encoding="utf-8").splitlines()
    failures = [Failure(**json.loads(line)) for line in lines]
    failures = [failure for failure in failures if failure.step == failures[-1].step]
    logs = {log.name: log for log in (directory / "logs").glob("*.log")} if directory else {}

    def log_of(failure: Failure) -> Path | None:
        """Return the log of a rank; a task is one where there are as many logs as tasks."""
        rank = failure.rank
        if rank is None and len(logs) == failure.tasks:
            rank = failure.task
        return logs.get(f"{node_name(failure.node)}.rank{rank}.log")

    def when(failure: Failure) -> tuple[float, float]:
        """Return when it failed, and, as torchrun counts in seconds, when it fell silent."""
        log = log_of(failure)
        return failure.time, log.stat().st_mtime if log else failure.time

    ranks = [failure for failure in failures if failure.rank is not None]
    first = min(ranks, key=when) if ranks else failures[0]
    log = log_of(first)
    rank = first.task if first.rank is None else first.rank
    who = f"{'task' if log is None and first.rank is None else 'rank'} {rank}"
    how = f"signal {-first.code}" if first.code < 0 else f"exit code {first.code}"
    return First(f"{who} on {node_name(first.node)} ({how})", log)
