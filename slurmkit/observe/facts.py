"""What a card, or a line of progress, says of a job: from Slurm and from its run directory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.observe.status import detail, last_metrics
from slurmkit.observe.times import read_duration, show_duration
from slurmkit.slurm.states import State

if TYPE_CHECKING:
    from slurmkit.launch.job import Job
    from slurmkit.launch.rundir import RunDirectory
    from slurmkit.observe.status import Detail


@dataclass(frozen=True, slots=True)
class Facts:
    """A job at one moment."""

    id: str
    name: str
    state: State
    reason: str = ""
    """Why it waits, in plain words."""
    nodes: int = 0
    elapsed: str = ""
    """How long it has run, as Slurm writes it: `1-02:03:04`, `0:12`."""
    tasks: str = ""
    """Of an array: how many of its tasks are in which state."""
    loss: float | None = None
    logs: Path | None = None
    notes: tuple[str, ...] = ()
    """What could not be asked."""


def look(job: Job) -> Facts:
    """Ask Slurm and read the run directory.

    Raises:
        SlurmError: Slurm cannot be asked, and the job has left nothing.
        UnknownJobError: nobody knows it.
    """
    found = detail(job.entry)
    runs = [run for run in job.runs() if run.path.is_dir()]
    records = found.records
    reasons = [record.reason.words for record in records if record.state == found.state]
    return Facts(
        id=job.id,
        name=found.entry.name,
        state=found.state,
        reason=reasons[0] if reasons and found.state.phase == "waiting" else "",
        nodes=max(record.nodes for record in records),
        elapsed=_longest([record.elapsed for record in records]),
        tasks=_tasks(found),
        loss=_last_loss(runs),
        logs=_logs(runs),
        notes=tuple(note.partition("\n")[0] for note in found.notes),
    )


def _longest(durations: list[str]) -> str:
    return show_duration(max(durations, key=lambda text: read_duration(text) or 0))


def _tasks(found: Detail) -> str:
    counts = Counter(record.state.name for record in found.records if found.is_array)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _last_loss(runs: list[RunDirectory]) -> float | None:
    """Return the newest loss, of an array that of whichever task wrote last."""
    rows = [row for run in runs if (row := last_metrics(run))]
    told = [row for row in rows if isinstance(row.get("loss"), int | float)]
    return max(told, key=lambda row: float(row.get("time") or 0))["loss"] if told else None


def _logs(runs: list[RunDirectory]) -> Path | None:
    if len(runs) == 1:
        return runs[0].logs
    return runs[0].path.parent if runs else None
