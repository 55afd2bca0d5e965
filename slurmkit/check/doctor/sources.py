"""Which files tell of a job's death: Slurm's output of it, the logs of its ranks, error files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.check.doctor.event import Log
from slurmkit.launch.rundir import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENDS = (".out", ".err", ".log", ".txt", ".json")
_RANK = re.compile(r"rank[_-]?(\d{1,6})(?!\d)")
_MOST = 4096  # files of a directory


def logs_of_run(run: RunDirectory, *, most: int = _MOST) -> list[Log]:
    """Return the files of a run directory, the output of the whole job first."""
    whole = [Log(run.output)] if run.output.is_file() else []
    started = [row.get("time") for row in run.batch_events() if row.get("event") == "started"]
    again = len(started) > 1
    try:
        ranks = [Log(log.path, log.rank, log.node, again) for log in run.rank_logs()]
    except OSError:
        ranks = []
    if again and isinstance(begin := started[-1], int | float):
        ranks = [log for log in ranks if _written(log.path) >= begin] or ranks
    return [*whole, *ranks[:most]]


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def logs_of_files(paths: Sequence[Path]) -> list[Log]:
    """Return files as a user named them; a directory stands for the logs in it.

    Raises:
        FileNotFoundError: one of them is not there, or a directory holds no logs.
    """
    found: list[Log] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix in _ENDS and one.is_file())
            if not inside:
                raise FileNotFoundError(f"no logs in {path}: name files, or a run directory")
            found += [_log(one) for one in inside[:_MOST]]
        else:
            found.append(_log(path))
    # A file of all ranks is read before those of one each, which repeat it.
    return sorted(found, key=lambda log: log.rank is not None)


def _log(path: Path) -> Log:
    match = _RANK.search(path.name)
    node = path.name.partition(".rank")[0] if match and ".rank" in path.name else None
    return Log(path, int(match[1]) if match else None, node)
