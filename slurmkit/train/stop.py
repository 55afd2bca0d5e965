"""Was this job asked to stop? A training loop asks between its steps, saves, and returns.

Example::

    for step in range(start, steps):
        if stop.requested():
            save(step)
            status.state = "stopped"  # of `recorded_status`: not done, run me again
            break
        train(step)

Asked to stop is a job by USR1 (the time limit is near), by TERM (preemption, scancel), or by a
file STOP in its run directory. Signals are noted from the first question on; until then they do
what they do to any program.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from slurmkit.train.rundir import run_directory

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
_heard: list[int] = []
_before: dict[int, Any] = {}


def requested() -> bool:
    """Tell whether to save and leave; all ranks get the same answer.

    Where torch's process group is up this is a collective: every rank asks at the same step. The
    first question must come from the main thread.
    """
    if not _before:
        for number in _SIGNALS:
            _before[number] = signal.signal(number, _note)
    directory = run_directory()
    return _agreed(bool(_heard) or (directory is not None and (directory / "STOP").exists()))


def _note(number: int, _: object) -> None:
    _heard.append(number)


def _agreed(mine: bool) -> bool:
    dist = sys.modules.get("torch.distributed")
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return mine
    import torch

    on_gpu = "nccl" in dist.get_backend()
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    flag = torch.tensor([int(mine)], device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag.item())
