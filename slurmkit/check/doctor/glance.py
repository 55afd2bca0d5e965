"""The verdict on a job from the ends of its files alone: for status, which has to be quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.check.doctor.diagnose import diagnose
from slurmkit.check.doctor.sources import logs_of_run

if TYPE_CHECKING:
    from slurmkit.check.doctor.verdict import Verdict
    from slurmkit.launch.rundir import RunDirectory

_LAST = 256 << 10  # bytes of each file
_RANKS = 64


def glance(run: RunDirectory, state: str) -> Verdict | None:
    """Return the verdict on a job; None where nothing looks like a failure.

    Args:
        run: its run directory.
        state: Slurm's word on it.
    """
    return diagnose(logs_of_run(run, most=_RANKS), state=state, last=_LAST).verdict
