"""How much time a job has lost to time limits, preemption, crashes and dead nodes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from slurmkit.launch.rundir import read_json_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.launch.rundir import RunDirectory


@dataclass(frozen=True, slots=True)
class Lost:
    """What the interruptions of a job have cost, in seconds."""

    interruptions: int
    """Attempts that did not end the job."""
    seconds: float
    """From each last step that was kept to the next new one, less the time of a step."""
    queued: float
    """The part of it between the end of an attempt and the start of the next."""


def lost(run: RunDirectory) -> Lost | None:
    """Return what a job's interruptions have cost; None where it had none, or logs no steps."""
    events = run.batch_events()
    if sum(event.get("event") == "started" for event in events) < 2:
        return None
    return count_lost(events, read_json_lines(run.metrics / "train_log.jsonl"))


def count_lost(events: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> Lost | None:
    """Count from the script's events and the log of steps, of which each step is there once.

    Steps that were taken twice count as lost: the log keeps the second time only.
    """
    started = _times(event for event in events if event.get("event") == "started")
    ended = _times(event for event in events if event.get("event") == "ended")
    steps = _times(rows)
    if not started or not steps:
        return None
    gaps = [
        (end - begin, [start for start in started if begin < start <= end], begin)
        for begin, end in pairwise([min(started[0], steps[0]), *steps])
    ]
    usual = median([gap for gap, starts, _ in gaps[1:] if not starts] or [0.0])
    broken = [(gap, starts, begin) for gap, starts, begin in gaps if starts]
    if not broken:
        return None
    queued = 0.0
    for _, starts, begin in broken:
        for start in starts:
            before = [end for end in ended if begin <= end <= start]
            queued += start - before[-1] if before else 0.0
    return Lost(
        interruptions=sum(len(starts) for _, starts, _ in broken),
        seconds=sum(max(0.0, gap - usual) for gap, _, _ in broken),
        queued=queued,
    )


def _times(rows: Any) -> list[float]:
    return sorted(float(row["time"]) for row in rows if isinstance(row.get("time"), int | float))
