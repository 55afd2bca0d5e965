"""Which files tell of a job's death: Slurm's output of it, the logs of its ranks, error files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.check.doctor.event import Log
from slurmkit.launch.rundir import RunDirectory, read_json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ENDS = (".out", ".err", ".log", ".txt", ".json")
PACKED = (".gz", ".bz2", ".xz", ".zst")
_RANK = re.compile(r"rank[_-]?(\d{1,6})(?!\d)")
SIMULATION = "simulation.jsonl"
"""In a simulated job's events: its state, and the first that failed."""
_MOST = 4096  # files of a directory


def logs_of_run(run: RunDirectory, *, most: int = _MOST) -> list[Log]:
    """Return the files of a run directory, the output of the whole job first."""
    whole = [Log(run.output)] if run.output.is_file() else []
    started = [row.get("time") for row in run.batch_events() if row.get("event") == "started"]
    attempts = max(1, len(started))
    try:
        ranks = [Log(log.path, log.rank, log.node, attempts) for log in run.rank_logs()]
    except OSError:
        ranks = []
    if attempts > 1 and isinstance(begin := started[-1], int | float):
        ranks = [log for log in ranks if _written(log.path) >= begin] or ranks
    end = run.events / SIMULATION
    return [*whole, *ranks[:most], *([Log(end)] if end.is_file() else [])]


def simulated_state(run: RunDirectory) -> str | None:
    """Return the state in which a simulated job ended; None of any other job."""
    ends = read_json_lines(run.events / SIMULATION)
    state = ends[-1].get("state") if ends else None
    return state if isinstance(state, str) else None


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def logs_of_files(
    paths: Sequence[Path], readable: Callable[[Path], Path] = lambda path: path
) -> list[Log]:
    """Return files as a user named them; a directory stands for the logs in it.

    Args:
        paths: files and directories.
        readable: gives the file to read for one that is there, which may be packed.

    Raises:
        FileNotFoundError: a directory holds no logs.
        OSError: one of them cannot be read.
    """
    found: list[Log] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if _is_log(one) and one.is_file())
            if not inside:
                raise FileNotFoundError(f"no logs in {path}: name files, or a run directory")
            found += [_log(readable(one)) for one in inside[:_MOST]]
        else:
            found.append(_log(readable(path)))
    # A file of all ranks is read before those of one each, which repeat it.
    return sorted(found, key=lambda log: log.rank is not None)


def _is_log(path: Path) -> bool:
    name = path.with_suffix("") if path.suffix in PACKED else path
    return name.suffix in _ENDS


def _log(path: Path) -> Log:
    match = _RANK.search(path.name)
    node = path.name.partition(".rank")[0] if match and ".rank" in path.name else None
    return Log(path, int(match[1]) if match else None, node)
