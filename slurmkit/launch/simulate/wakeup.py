"""Signals as bytes in a pipe, so that one loop can wait for them and for anything else."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CANCELLING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals to the simulation that cancel the job; a second one kills it."""


@contextlib.contextmanager
def signals_in_pipe(numbers: Iterable[int]) -> Iterator[int]:
    """Give the reading end of a pipe into which each of these signals writes its number.

    A signal that this process was started to ignore (as bash does with SIGINT for a command in
    the background) is taken, too, as srun does.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, _nothing) for number in numbers}
    former = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(former)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def read_signals(reading: int) -> list[int]:
    """Return the signals that came since the last call."""
    try:
        return list(os.read(reading, 4096))
    except BlockingIOError:
        return []


def _nothing(*_: object) -> None:
    """Take a signal: only a handler of Python's has its number written into the pipe."""
