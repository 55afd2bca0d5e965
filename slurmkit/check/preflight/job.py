"""A job whose script only looks at its nodes: the job itself, cut down to its checks."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slurmkit.probe.settings import Node, Settings
from slurmkit.probe.verdict import ADVICE, nothing_to_check
from slurmkit.render.preflight import settings
from slurmkit.slurm.scalars import format_time, parse_time
from slurmkit.spec.errors import Place, Problem, SpecError, nearest
from slurmkit.spec.preflight import CHECKS, Preflight
from slurmkit.spec.sweep import at_point

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

SUFFIX = "-preflight"
"""Of the name of a job that only checks."""
_ROOM = 180  # seconds for the start of the step, beside the checks' own time
_NOT_FOR_CHECKS = {
    "begin", "deadline", "delay-boot", "hold", "mail-type", "mail-user", "time-min",
}  # fmt: skip
"""Options of sbatch that are about the long job."""


def wanted(spec: JobSpec, only: Sequence[str] = (), skip: Sequence[str] = ()) -> Preflight:
    """Return the checks that run: those named, else the job's own, else all.

    Raises:
        SpecError: there is no such check, or none is left.
    """
    for option, names in (("--only", only), ("--skip", skip)):
        for name in names:
            if name not in CHECKS:
                like = nearest(name, CHECKS)
                fix = f"did you mean {like}?" if like else f"there are {', '.join(CHECKS)}"
                raise SpecError([Problem(f"no check {name!r}", Place(option), fix=fix)])
    asked = spec.preflight or Preflight()
    chosen = [name for name in CHECKS if name in (only or asked.checks) and name not in skip]
    if not chosen:
        raise SpecError([Problem("no check is left", Place("--skip"), fix="skip fewer of them")])
    update: dict[str, Any] = {"checks": chosen}
    if only:  # what it leaves out on purpose is no mistake
        update |= {name: [] for name in ("data", "storage") if name not in chosen}
    return asked.model_copy(update=update)


def checks_alone(spec: JobSpec, asked: Preflight) -> JobSpec:
    """Return a short job of the same shape and environment, for a script of checks alone.

    A user's template is left out: what it launches is not known.
    """
    if spec.sweep:
        spec = at_point(spec, 0)
    own = parse_time(spec.resources.time) if spec.resources.time else None
    seconds = asked.timeout + _ROOM
    time = spec.resources.time if own and own <= seconds else format_time(seconds)
    changes: dict[str, Any] = {
        "name": spec.name[: 200 - len(SUFFIX)] + SUFFIX,
        "template": None,
        "requeue": None,
        "resources": spec.resources.model_copy(update={"time": time}),
        "sbatch": {k: v for k, v in spec.sbatch.items() if k not in _NOT_FOR_CHECKS},
        "launcher": spec.launcher.model_copy(update={"restarts": 0}),
        "depends_on": {},
        "preflight": asked,
    }
    return spec.model_copy(update=changes)


def refuse_nothing(spec: JobSpec) -> None:
    """Refuse checks of which none has anything to look at in this job.

    Raises:
        SpecError: that is so; it says why.
    """
    told = Settings.from_json(settings(spec), [Node(spec.name, "")], {})
    why = nothing_to_check(told)
    if why:
        raise SpecError([Problem(why, Place("preflight"), fix=ADVICE)])


def has_slurm() -> bool:
    """Tell whether jobs can be submitted from here."""
    return shutil.which("sbatch") is not None
