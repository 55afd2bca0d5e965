"""The log files of a job, looked for anew each time: ranks, attempts and array tasks may come."""

from __future__ import annotations

import os
import time
from itertools import groupby
from pathlib import Path

from slurmkit.launch.registry import Entry
from slurmkit.launch.rundir import RankLog, RunDirectory
from slurmkit.observe.logs.folding import Folding
from slurmkit.observe.logs.reading import LogFile
from slurmkit.observe.logs.stamps import Clock
from slurmkit.observe.logs.view import View

_COLOURS = (36, 33, 32, 35, 34, 31)
_SCRIPT = -1


class Sources:
    """The log files of one job, or of all tasks of an array."""

    def __init__(self, entry: Entry, view: View) -> None:
        self._view = view
        self._top = RunDirectory(Path(entry.directory))
        self._clock = Clock(time.time())
        self._known: dict[Path, tuple[tuple[int, int, str], LogFile]] = {}
        self._several_runs = False

    def runs(self) -> list[RunDirectory]:
        """Return the run directories that are there: the job's, or one an array task."""
        return self._top.tasks() or ([self._top] if self._top.path.is_dir() else [])

    def look(self) -> list[LogFile]:
        """Return all files that are wanted and there, in order; known ones stay where they are."""
        before = len(self._known)
        self._clock.advance(time.time())
        runs = self.runs()
        self._several_runs |= bool(runs) and runs[0] != self._top
        for number, run in enumerate(runs):
            if self._view.script:
                self._add(run, number, None)
            for log in _rank_logs(run):
                if log.path not in self._known and self._view.wants(log):
                    self._add(run, number, log)
        if not runs and self._view.script:
            self._add(self._top, 0, None)
        files = [file for _, file in self._in_order()]
        if len(self._known) != before:
            self._label(files)
        return files

    def by_task(self) -> list[list[LogFile]]:
        """Return the known files, those of one array task together; of a job there is one group."""
        groups = groupby(self._in_order(), key=lambda known: known[0][0])
        return [[file for _, file in group] for _, group in groups]

    def _in_order(self) -> list[tuple[tuple[int, int, str], LogFile]]:
        return sorted(self._known.values(), key=lambda known: known[0])

    def _add(self, run: RunDirectory, number: int, log: RankLog | None) -> None:
        path = log.path if log else run.output
        if path in self._known or not path.exists():
            return
        task = [run.path.name] if self._several_runs else []
        words = [*task, *([log.node, f"rank{log.rank}"] if log else ["script"])]
        file = LogFile(
            path,
            self._clock,
            os.fsencode(" ".join(words)),
            of_script=log is None,
            folding=Folding() if log is None and self._view.folds else None,
        )
        rank = log.rank if log else _SCRIPT
        self._known[path] = ((_task(run, number), rank, log.node if log else ""), file)

    def _label(self, files: list[LogFile]) -> None:
        width = max(len(file.name) for file in files)
        ranks = sorted({order[1] for order, _ in self._known.values()})
        for (_, rank, _), file in self._known.values():
            name = file.name.ljust(width)
            colour = _COLOURS[ranks.index(rank) % len(_COLOURS)] if self._view.colours else None
            file.label = b"\x1b[%dm%b |\x1b[0m " % (colour, name) if colour else name + b" | "


def _rank_logs(run: RunDirectory) -> list[RankLog]:
    try:
        return run.rank_logs()
    except OSError:  # not ours to read, or gone in this moment
        return []


def _task(run: RunDirectory, number: int) -> int:
    text = run.path.name.rpartition("_")[2]
    return int(text) if text.isdigit() else number
