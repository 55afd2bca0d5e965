"""Was this job asked to stop? A training loop asks between its steps, saves, and returns.

Example::

    for step in range(start, steps):
        if stop.requested():
            save(step)
            break
        train(step)

A job is asked to stop by USR1 (its time limit is near), by TERM (preemption, scancel), by a file
STOP in its run directory, and by its own clock, `lead_time` seconds before ``SLURMKIT_END_TIME``:
also where no signal comes. Signals are noted from the first question on, or from `listen`; until
then they do what they do to any program.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slurmkit.train.end_time import end_time, moved_end_time
from slurmkit.train.rundir import Status, run_directory, write_status

if TYPE_CHECKING:
    from collections.abc import Iterator

REASONS = ("", "STOP file", "time limit", "SIGUSR1", "SIGTERM")
"""Why to stop, by the code of `heard`; where ranks differ, the first of these counts."""

_FILE, _CLOCK = 1, 2
_SIGNALS = {signal.SIGUSR1: 3, signal.SIGTERM: 4}
_DEFAULT_LEAD_TIME = 120.0


@dataclass
class _Ear:
    """What this process knows of requests."""

    process: int = field(default_factory=os.getpid)
    heard: set[int] = field(default_factory=set)
    handlers: dict[int, Any] = field(default_factory=dict)
    """What stood there before, by signal."""
    lead_time: float | None = None
    deadline: float | None = None
    """When this process's clock asks, in seconds of the epoch."""
    agreed: int = 0


_ear: _Ear | None = None


def requested() -> bool:
    """Tell whether to save and leave; all ranks get the same answer.

    Where torch's process group is up this is a collective: every rank asks at the same step. When
    the answer is yes, ``status.json`` says so, and the batch script puts the job back into the
    queue as `requeue` has it.
    """
    mine = heard()
    ear = listen()
    ear.agreed = _agreed(mine)
    if ear.agreed and _rank() == "0":
        write_status(Status("stopped", REASONS[ear.agreed]))
    return ear.agreed > 0


def reason() -> str | None:
    """Return what `requested` answered yes for, in words; None while it did not."""
    return REASONS[_ear.agreed] if _ear is not None and _ear.agreed else None


def heard() -> int:
    """Return why this process alone was asked to stop: an index into `REASONS`, 0 for not yet.

    For a loop with a reduction of its own in each step. Codes do not add up over ranks: let each
    reason be a number of its own there.
    """
    ear = listen()
    directory = run_directory()
    together = _process_group() is not None
    looks = not together or os.environ.get("LOCAL_RANK", "0") == "0"  # once a node is enough
    if looks and directory is not None and (directory / "STOP").exists():
        ear.heard.add(_FILE)
    if (not together or _rank() == "0") and _has_struck(ear):  # nodes' clocks differ
        ear.heard.add(_CLOCK)
    return min(ear.heard, default=0)


def terminated() -> bool:
    """Tell whether TERM has come to this process: KILL follows, in seconds."""
    return _ear is not None and _SIGNALS[signal.SIGTERM] in _ear.heard


def lead_time() -> float | None:
    """Return how many seconds before the job's end its clock asks; None for a job without an end.

    It is ``SLURMKIT_LEAD_TIME``, the job's `requeue.lead_time`. Without that it is two minutes,
    or a tenth of the time that was left when this process began to listen if that is less.
    """
    return listen().lead_time


def listen() -> _Ear:
    """Note signals from now on. Once is enough; further calls do nothing.

    Only the main thread can: elsewhere the file and the clock are all that is heard.
    """
    global _ear  # noqa: PLW0603
    if _ear is None:
        ear = _ear = _Ear()
        _set_clock(ear)
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                ear.handlers[number] = signal.signal(number, _note)
    return _ear


@contextmanager
def listening() -> Iterator[None]:
    """Listen while the block runs, and leave signals as they were: for a caller that lives on."""
    global _ear  # noqa: PLW0603
    if _ear is not None:  # somebody around this block listens, and goes on
        yield
        return
    ear = listen()
    try:
        yield
    finally:
        _ear = None
        for number, handler in ear.handlers.items():
            if signal.getsignal(number) is _note:
                signal.signal(number, handler)


def warn_if_short(lead: float | None, step_seconds: float, save_seconds: float) -> str | None:
    """Return a warning if a lead time is too short to finish a step and to save.

    Args:
        lead: what `lead_time` gave.
        step_seconds: a step's measured time.
        save_seconds: a checkpoint's measured time.

    Returns:
        The warning; None where `lead` is at least two steps, a save and a minute, for Slurm and
        the launcher to end the step in.
    """
    needed = 2 * step_seconds + save_seconds + 60
    if lead is None or lead >= needed:
        return None
    return (
        f"{lead:g} s before the time limit this job is told to save, but two steps of "
        f"{step_seconds:.1f} s, a save of {save_seconds:.1f} s and a minute to end are "
        f"{needed:.0f} s: set requeue.lead_time to {-int(-needed // 10) * 10} or more"
    )


def _set_clock(ear: _Ear) -> None:
    end = end_time()
    if end is None:
        return
    given = os.environ.get("SLURMKIT_LEAD_TIME", "")
    tenth = max(0.0, (end - time.time()) / 10)
    ear.lead_time = float(given) if given.isdecimal() else min(_DEFAULT_LEAD_TIME, tenth)
    ear.deadline = end - ear.lead_time


def _has_struck(ear: _Ear) -> bool:
    if ear.deadline is None or ear.lead_time is None or time.time() < ear.deadline:
        return False
    if _CLOCK not in ear.heard and (moved := moved_end_time()):
        ear.deadline = moved - ear.lead_time
    return time.time() >= ear.deadline


def _note(number: int, _: object) -> None:
    ear = _ear
    if ear is None or ear.process == os.getpid():
        if ear is not None:
            ear.heard.add(_SIGNALS[signal.Signals(number)])
    elif number == signal.SIGTERM:
        # In a child that was forked, whoever ended it would wait for ever for one that only notes.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _rank() -> str:
    return os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0"


def _process_group() -> Any:
    """Return torch.distributed if its process group is up, without importing torch."""
    dist = sys.modules.get("torch.distributed")
    return dist if dist and dist.is_available() and dist.is_initialized() else None


def _agreed(mine: int) -> int:
    dist = _process_group()
    if dist is None:
        return mine
    import torch

    on_gpu = "nccl" in dist.get_backend()
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    votes = torch.zeros(len(REASONS), dtype=torch.int32, device=device)
    votes[mine] = 1
    dist.all_reduce(votes)
    return next((code for code in range(1, len(REASONS)) if votes[code].item()), 0)
