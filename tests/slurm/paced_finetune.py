"""slurmkit.train.finetune, slowed down and broken at will, so that a test can strike in time.

By variables: PACE, seconds more for a step; SLOW_DISK, seconds more for each fsync; CRASH_AT, the
step at which rank 3 raises an error, in the job's first attempt.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from slurmkit.train.entrypoint import run
from slurmkit.train.finetune import main
from slurmkit.train.finetune.step import Stepper

_take, _fsync = Stepper.take, os.fsync
_crashes = os.environ["RANK"] == "3" and os.environ["SLURMKIT_ATTEMPT"] == "0"


def take(self: Stepper, step: int, *others: Any) -> Any:
    """Take a step, late or never."""
    time.sleep(float(os.environ.get("PACE", "0")))
    if _crashes and step + 1 == int(os.environ.get("CRASH_AT", "0")):
        raise RuntimeError("this rank is broken")
    return _take(self, step, *others)


def fsync(file: Any) -> None:
    """Write a file out to a disk that is slow."""
    time.sleep(float(os.environ.get("SLOW_DISK", "0")))
    _fsync(file)


steps: Any = Stepper
steps.take = take
system: Any = os
system.fsync = fsync
sys.exit(run(main, "slurmkit.train.finetune"))
