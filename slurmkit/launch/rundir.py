"""The layout of a run directory, for those who read it.

The job's script makes it; `slurmkit.train.rundir` writes the program's part of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RANK_LOG = re.compile(r"(?P<node>.+)\.rank(?P<rank>\d+)\.log")


@dataclass(frozen=True, slots=True)
class RankLog:
    """The log file of one rank."""

    path: Path
    node: str
    rank: int


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """`runs/NAME/JOB/`: what a job leaves behind."""

    path: Path

    @property
    def job_file(self) -> Path:
        """The resolved job file."""
        return self.path / "job.yaml"

    @property
    def script(self) -> Path:
        """The script as it ran."""
        return self.path / "script.sbatch"

    @property
    def output(self) -> Path:
        """Slurm's own `--output` of the job, in the directory that it was submitted from.

        Of a simulation in the foreground it is in the run directory.
        """
        own = self.own_output
        return own if own.is_file() else self.path.parents[2] / own.name

    @property
    def own_output(self) -> Path:
        """What the script of a simulation printed, less the lines of its ranks."""
        return self.path / f"slurmkit-{self.path.name}.out"

    @property
    def logs(self) -> Path:
        """The directory of the log files, one a rank."""
        return self.path / "logs"

    @property
    def metrics(self) -> Path:
        """The directory of the metrics, in JSON lines."""
        return self.path / "metrics"

    @property
    def events(self) -> Path:
        """The directory of what the script and rank 0 say of themselves."""
        return self.path / "events"

    @property
    def stop(self) -> Path:
        """The file that a user makes to have the job save and leave."""
        return self.path / "STOP"

    def tasks(self) -> list[RunDirectory]:
        """Return the run directories of an array's tasks, in their order; of a job none."""
        name = re.compile(rf"{re.escape(self.path.name)}_(\d+)")
        try:
            found = [(name.fullmatch(path.name), path) for path in self.path.parent.iterdir()]
        except OSError:
            return []
        tasks = sorted((int(match[1]), path) for match, path in found if match)
        return [RunDirectory(path) for _, path in tasks]

    def rank_logs(self) -> list[RankLog]:
        """Return the log files that are there, by rank."""
        if not self.logs.is_dir():
            return []
        found = []
        for path in self.logs.iterdir():
            match = _RANK_LOG.fullmatch(path.name)
            if match:
                found.append(RankLog(path, match["node"], int(match["rank"])))
        return sorted(found, key=lambda log: (log.rank, log.node))

    def batch_events(self) -> list[dict[str, Any]]:
        """Return what the script said of itself: started, ended, requeued, … with their times."""
        return read_json_lines(self.events / "batch.jsonl")

    def status(self) -> dict[str, Any] | None:
        """Return the program's own word on how it ended; None when it said nothing."""
        value = read_json(self.path / "status.json")
        return value if isinstance(value, dict) else None

    def result(self) -> Any:
        """Return what `main(config)` returned; None where there is no result."""
        return read_json(self.path / "result.json")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; None when it is missing, or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file; lines that are no JSON yet are left out."""
    rows = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict):
                    rows.append(row)
    except OSError:
        return []
    return rows
