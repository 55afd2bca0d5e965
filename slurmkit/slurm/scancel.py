"""What is done to jobs that are in Slurm's hands: end them, send them a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.slurm.commands import SlurmError, call

if TYPE_CHECKING:
    from collections.abc import Sequence


def cancel(ids: Sequence[str]) -> None:
    """End jobs, arrays or array tasks.

    Raises:
        SlurmError: Slurm refuses, or cannot be reached.
    """
    _scancel([], ids)


def signal(ids: Sequence[str], name: str, *, to_script: bool) -> None:
    """Send a signal to running jobs.

    Args:
        ids: jobs, arrays or array tasks.
        name: the signal, such as `USR1`.
        to_script: send it to the batch shell alone; else to every process of the steps.

    Raises:
        SlurmError: Slurm refuses, or cannot be reached.
    """
    _scancel([f"--signal={name}", *(["--batch"] if to_script else [])], ids)


def _scancel(options: Sequence[str], ids: Sequence[str]) -> None:
    answer = call(["scancel", *options, *ids])
    if answer.code != 0 or "error" in answer.err.lower():
        jobs = f"job {ids[0]}" if len(ids) == 1 else f"{len(ids)} jobs"
        raise SlurmError(f"scancel failed for {jobs}", said=answer.err or answer.out)
