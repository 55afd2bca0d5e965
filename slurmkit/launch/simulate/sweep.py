"""The points of a sweep, simulated one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from slurmkit.launch.simulate.run import Outcome
from slurmkit.launch.simulate.say import say
from slurmkit.spec.sweep import Axis, at_point, axes, count_points, points

if TYPE_CHECKING:
    from slurmkit.spec.errors import Path as FieldPath
    from slurmkit.spec.errors import Place
    from slurmkit.spec.model import JobSpec

_LONGEST = 100


class RunTask(Protocol):
    """Runs one task of the array."""

    def __call__(self, *, array: int, task: int) -> Outcome:
        """Run the script as this task."""


def run_points(spec: JobSpec, run: RunTask) -> Outcome:
    """Run all points of a sweep; a point that fails ends no other.

    Returns:
        The outcome of the whole: that of the first point which did not end well, if there is one.
    """
    count, swept = count_points(spec), axes(spec)
    tasks: list[Outcome] = []
    for number, values in enumerate(points(swept)):
        say(f"point {number} (0 to {count - 1}): {_told(swept, values)}")
        outcome = run(array=tasks[0].job_id if tasks else 0, task=number)
        tasks.append(outcome)
        say(f"point {number} {outcome.state} after {outcome.seconds:.1f} s")
        if outcome.state == "CANCELLED":
            break
    worst = next((task for task in tasks if task.state != "COMPLETED"), tasks[-1])
    directories = [task.directory for task in tasks if task.directory]
    array = tasks[0].job_id
    return Outcome(
        job_id=array,
        state=worst.state,
        code=worst.code,
        seconds=sum(task.seconds for task in tasks),
        directory=directories[0].with_name(str(array)) if directories else None,
        restarts=sum(task.restarts for task in tasks),
        first=worst.first,
        tasks=tuple(tasks),
    )


def programs(
    spec: JobSpec, places: Mapping[FieldPath, Place]
) -> Iterator[tuple[JobSpec, Mapping[FieldPath, Place]]]:
    """Give a job once for each program that its points run, and where that is written."""
    field = next((f for f in ("entrypoint.script", "entrypoint.command") if f in spec.sweep), None)
    if field is None:
        yield spec, places
        return
    for index, value in enumerate(spec.sweep[field]):
        place = places.get(("sweep", field, index)) or places.get(("sweep", field))
        here: dict[FieldPath, Place] = {}
        if place:
            here["entrypoint", field.partition(".")[2]] = place
        one = spec.model_copy(update={"sweep": {field: [value]}, "sweep_limit": None})
        yield at_point(one, 0), {**places, **here}


def _told(swept: list[Axis], values: tuple[object, ...]) -> str:
    texts = (f"{axis.field}={value!r}" for axis, value in zip(swept, values, strict=True))
    text = ", ".join(texts)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
