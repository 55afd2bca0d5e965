"""``python -m slurmkit.train.in_process.local FOLDER REQUEUES``: the tasks of a job without Slurm.

submitit's own controller of local tasks, with what a cluster does besides: one task that fails
ends the others, a job that is cancelled does not come back, and the exit status tells how it was.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submitit.local.local import LOCAL_REQUEUE_RETURN_CODE, Controller, LocalJobEnvironment

FAILED, TIMEOUT, CANCELLED = 1, 124, 143
_GRACE = 30.0  # seconds from TERM to KILL, as Slurm's KillWait
_LATE = 60.0  # seconds for the other tasks to return, once rank 0 has had the job requeued
_PAUSE = 0.05


class Tasks(Controller):
    """Starts a job's tasks, watches them, and starts them again when the job was requeued."""

    _ended_by: int | None = None

    def until_done(self, requeues: int) -> int:
        """Run the tasks until the job is over; return its exit status."""
        for attempt in range(requeues + 1):
            os.environ["SLURMKIT_ATTEMPT"] = str(attempt)
            if os.environ.get("SLURMKIT_END_TIME"):  # each attempt has all of the time
                os.environ["SLURMKIT_END_TIME"] = str(int(time.time() + self.timeout_s))
            try:
                self.start_tasks()
                codes = self.wait()
            finally:
                self.kill_tasks()
            if self._ended_by is not None:
                return self._ended_by
            if LOCAL_REQUEUE_RETURN_CODE not in codes:
                return FAILED if any(codes) else 0
        return FAILED

    def wait(self, freq: int = 24) -> Sequence[int | None]:
        """Wait until all tasks have ended, one has failed, or the time is up."""
        start, deadline = time.monotonic(), None
        warning = self.timeout_s - self.signal_delay_s if self.signal_delay_s else None
        while True:
            codes = [task.poll() for task in self.tasks]
            past = time.monotonic() - start
            requeued = LOCAL_REQUEUE_RETURN_CODE in codes
            failed = any(code not in (None, 0, LOCAL_REQUEUE_RETURN_CODE) for code in codes)
            cancelled = self._ended_by is not None
            if None not in codes or (failed and not cancelled):
                return codes
            if deadline is None and (cancelled or requeued):
                deadline = past + (_GRACE if cancelled else _LATE)
            if past > self.timeout_s and not cancelled:
                self._ended_by = TIMEOUT
                return codes
            if deadline is not None and past > deadline:
                return codes
            if warning is not None and past > warning:
                warning = None
                self._forward_signal(LocalJobEnvironment._usr_sig())
            time.sleep(_PAUSE)

    def _forward_signal(self, signum: Any, *args: Any) -> None:
        if args:  # as a handler of TERM; otherwise it is submitit that calls it
            self._ended_by = CANCELLED
        super()._forward_signal(signum)


if __name__ == "__main__":
    sys.exit(Tasks(Path(sys.argv[1])).until_done(int(sys.argv[2])))
