"""What single fields cannot know: parts of a job that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.spec.contradictions import (
    environment,
    launch,
    lengths,
    others,
    program,
    resources,
    site,
    sweep,
)
from slurmkit.spec.contradictions.found import Contradiction, raise_all

if TYPE_CHECKING:
    from slurmkit.spec.model import Entrypoint, JobSpec

__all__ = ["Contradiction", "check_entrypoint", "check_job", "raise_all"]

_CHECKS = (
    *(resources.shape, resources.sharing, resources.memory, resources.time),
    *(resources.nodelist, resources.gpus),
    *(launch.tasks, launch.options, launch.requeue, launch.container),
    *(
        environment.environment,
        lengths.lengths,
        site.network,
        site.options,
        sweep.sweep,
        program.config,
        others.dependencies,
    ),
)


def check_entrypoint(entrypoint: Entrypoint) -> None:
    """Raise for an entrypoint that is not exactly one program."""
    raise_all(others.entrypoint(entrypoint))


def check_job(spec: JobSpec) -> None:
    """Raise one error that holds every contradiction of the job."""
    raise_all(found for check in _CHECKS for found in check(spec))
