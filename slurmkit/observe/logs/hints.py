"""What a reader should know of what was not shown: other ranks, and which of them failed first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from slurmkit.launch.failure import first_failure
from slurmkit.launch.registry import Entry
from slurmkit.launch.rundir import RunDirectory
from slurmkit.observe.logs.view import View

_FAILURES = 3
_NODES = 8


def hints(entry: Entry, view: View, *, shown: bool) -> Iterator[str]:
    """Give lines for people about what a view of a job's logs did not show.

    Args:
        entry: the job.
        view: the view.
        shown: whether it showed anything.
    """
    top = RunDirectory(Path(entry.directory))
    runs = top.tasks() or [top]
    logs = [log for run in runs for log in run.rank_logs()]
    sealed = [log for log in logs if not os.access(log.path, os.R_OK)]
    if sealed:
        yield f"{len(sealed)} logs cannot be read, such as {sealed[0].path}: permission denied"
    hidden = {log.rank for log in logs if not (view.everything or view.wants(log))}
    if not shown:
        yield _why_nothing(entry, view, sorted({log.rank for log in logs}), logs[-1:] != [])
        if logs and not view.grep:
            nodes = sorted({log.node for log in logs})
            yield f"nodes: {', '.join(nodes[:_NODES])}{', …' if len(nodes) > _NODES else ''}"
    if not view.is_default or view.grep:
        return
    if hidden:
        which = f"rank {min(hidden)}" if len(hidden) == 1 else f"{len(hidden)} more ranks"
        yield f"not shown: {which}; see them with slurmkit logs {entry.id} --all"
    yield from _failures(runs)


def _failures(runs: list[RunDirectory]) -> Iterator[str]:
    found = [(run, failure) for run in runs if (failure := first_failure(run))]
    if len(found) > _FAILURES:
        yield f"ranks failed in {len(found) - _FAILURES} more array tasks"
    for run, failure in found[:_FAILURES]:
        task = f"{run.path.name}: " if len(runs) > 1 else ""
        words = "".join(filter(str.isprintable, "".join(failure.last_words()[-1:])))[:200]
        if failure.rank:
            yield f"all of its log: slurmkit logs {run.path.name} --rank {failure.rank}"
        yield f"{task}first to fail: {failure.text}{words and ': ' + words}"


def _why_nothing(entry: Entry, view: View, ranks: list[int], known: bool) -> str:
    if not known:
        return f"job {entry.id} has written nothing yet; what it does: slurmkit status {entry.id}"
    if view.grep:
        return "no line matches --grep"
    return (
        f"nothing to show; there are logs of rank{'s 0 to' if len(ranks) > 1 else ''} {ranks[-1]}"
    )
