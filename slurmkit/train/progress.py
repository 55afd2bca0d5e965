"""What rank 0 says while it trains: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.progress import Progress as Bar

_SHOWN = {
    "loss": "loss {:.4f}",
    "lr": "lr {:.2e}",
    "grad_norm": "norm {:.3f}",
    "tokens_per_second": "{:,.0f} tokens/s",
    "mfu": "MFU {:.1%}",
    "step_time": "{:.2f} s/step",
}
_BESIDE_BAR = ("loss", "tokens_per_second", "step_time")
"""What has room in a terminal of 80 columns."""


class Progress:
    """The progress of one run; only rank 0 has one."""

    def __init__(self, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        """Begin.

        Args:
            total: steps in all.
            done: steps that were taken in earlier runs of the job.
            stream: where to; stdout, if not given.
        """
        self._stream = stream or sys.stdout
        self._total = total
        self._done = done
        self._begin = time.monotonic()
        self._bar = _bar(self._stream, total, done) if self._stream.isatty() else None

    def step(self, row: Mapping[str, Any]) -> None:
        """Show a row of train_log."""
        step = int(row["step"])
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=step, told=told(row, _BESIDE_BAR))
            return
        left = (time.monotonic() - self._begin) / max(step - self._done, 1) * (self._total - step)
        self.say(f"step {step}/{self._total}  {told(row)}  {_duration(left)} left")

    def say(self, text: str) -> None:
        """Write a line, above the bar where there is one."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}"
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
            return
        with suppress(OSError):  # a full disk ends no training
            self._stream.write(line + "\n")  # at once: others may write into the same file
            self._stream.flush()

    def close(self) -> None:
        """Leave the bar as it is, and the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()


def told(row: Mapping[str, Any], fields: Iterable[str] = _SHOWN) -> str:
    """Return what a row of train_log has for people, in one line; without what is unknown."""
    known = [name for name in fields if row[name] is not None]
    return "  ".join(_SHOWN[name].format(row[name]) for name in known)


def _bar(stream: TextIO, total: int, done: int) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        MofNCompleteColumn(),
        BarColumn(bar_width=20),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        console=Console(file=stream),
    )
    bar.add_task("step", total=total, completed=done, told="")
    bar.start()
    return bar


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
