"""The verdict on a job from the ends of its files alone: for status, which has to be quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.check.doctor.diagnose import diagnose
from slurmkit.check.doctor.sources import logs_of_run, simulated_state
from slurmkit.check.doctor.spoken import word_of

if TYPE_CHECKING:
    from slurmkit.check.doctor.verdict import Verdict
    from slurmkit.launch.rundir import RunDirectory

_LAST = 256 << 10  # bytes of each file
_RANKS = 64


def glance(
    run: RunDirectory, state: str, *, last: int = _LAST, ranks: int = _RANKS
) -> Verdict | None:
    """Return the verdict on a job; None where nothing looks like a failure.

    Args:
        run: its run directory.
        state: Slurm's word on it.
        last: bytes that are read of each file.
        ranks: files of ranks that are read.
    """
    logs = logs_of_run(run, most=ranks)
    state = simulated_state(run) or state
    return diagnose(logs, state=state, last=last, word=word_of(run)).verdict
