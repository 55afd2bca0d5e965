"""Pipelines: jobs of which each starts when the one before it has ended well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from slurmkit.slurm.commands import SlurmError

if TYPE_CHECKING:
    from slurmkit.launch.registry import Entry
    from slurmkit.spec.model import JobSpec

AnyJob = TypeVar("AnyJob")


class Control(Protocol):
    """What a chain needs to do with a job that it has submitted."""

    def cancel(self, entry: Entry) -> None:
        """End it."""

    def release(self, entry: Entry) -> None:
        """Let it go that was held."""


def after(spec: JobSpec, id: str) -> JobSpec:
    """Return a job that also waits until another one has ended well, beside its own `depends_on`.

    Slurm cancels it when the other one fails, unless the job says otherwise: it would wait for
    ever.
    """
    well = [*spec.depends_on.get("afterok", []), id]
    return spec.model_copy(
        update={
            "depends_on": {**spec.depends_on, "afterok": well},
            "sbatch": {"kill-on-invalid-dep": "yes", **spec.sbatch},
        }
    )


def submit_chain(
    jobs: Sequence[AnyJob],
    submit: Callable[[AnyJob, str | None, bool], Entry],
    control: Control,
    say: Callable[[str], object],
    *,
    hold: bool = False,
) -> list[Entry]:
    """Submit jobs one after another, all of them or none, and return their entries.

    The first is held until the last is in the queue: none may run of a chain that is refused.

    Args:
        jobs: in the order in which they are to run.
        submit: submits one, which is to wait for the job of an id, and whether it is held.
        control: cancels and releases jobs.
        say: is told which jobs were cancelled, or are left behind.
        hold: whether the first job stays held.
    """
    done: list[Entry] = []
    try:
        for job in jobs:
            before = done[-1].id if done else None
            done.append(submit(job, before, not done and (hold or len(jobs) > 1)))
    except BaseException:
        _take_back(done, control, say)
        raise
    if len(jobs) > 1 and not hold:
        try:
            control.release(done[0])
        except SlurmError as error:
            say(f"job {done[0].id} ({done[0].name}) is still held: scontrol release {done[0].id}")
            say(str(error))
    return done


def _take_back(done: list[Entry], control: Control, say: Callable[[str], object]) -> None:
    """Cancel what was submitted, the last one first."""
    for entry in reversed(done):
        try:
            control.cancel(entry)
        except SlurmError as error:
            say(f"job {entry.id} ({entry.name}) is still in the queue: slurmkit cancel {entry.id}")
            say(str(error))
        else:
            say(f"job {entry.id} ({entry.name}) was cancelled: the chain is not complete")
