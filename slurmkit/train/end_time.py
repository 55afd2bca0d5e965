"""When the job ends: as its script found out, and as Slurm says later."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime


def end_time() -> float | None:
    """Return when the job's time is up, in seconds of the epoch; None where nothing says."""
    text = os.environ.get("SLURMKIT_END_TIME", "")
    return float(text) if text.isdecimal() else None


def moved_end_time() -> float | None:
    """Ask Slurm when the job's time is up: the limit of a running job can be moved.

    Returns:
        Seconds of the epoch; None where there is nobody to ask, as in most containers.
    """
    job = os.environ.get("SLURM_JOB_ID", "")
    # By its own number, for SLURM_JOB_ID alone is that of the whole array in one of its tasks.
    command = ["squeue", "--noheader", f"--jobs={job}", "--format=%A %e"]
    plain = {**os.environ, "SLURM_TIME_FORMAT": "standard"}
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=10, env=plain
        )
        (end,) = [line.split()[1] for line in asked.stdout.splitlines() if line.split()[0] == job]
        return datetime.fromisoformat(end).timestamp()
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None
