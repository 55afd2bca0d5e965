"""Timing things against each other: alternated in one run, so that a busy machine slows both."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Bar:
    """One measured number and the most it may be."""

    name: str
    measured: float
    limit: float
    unit: str = ""
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether the number is within its limit."""
        return self.measured <= self.limit


@dataclass(frozen=True)
class Pair:
    """What A and B took in the same rounds, in seconds."""

    a: list[float]
    b: list[float]

    @property
    def ratio(self) -> float:
        """The median over the rounds of A's time by B's time in the same round."""
        return statistics.median(a / b for a, b in zip(self.a, self.b, strict=True))

    def __str__(self) -> str:
        a, b = statistics.median(self.a), statistics.median(self.b)
        return f"{a * 1000:.1f} ms by {b * 1000:.1f} ms, medians of {len(self.a)} rounds"


def timed(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[float, T]:
    """How long one call takes, and its answer."""
    start = time.perf_counter()
    answer = call(*args, **kwargs)
    return time.perf_counter() - start, answer


def alternate(
    a: Callable[[], object], b: Callable[[], object], rounds: int, warm_up: int = 2
) -> Pair:
    """Times A and B in turns, A B A B; the first `warm_up` rounds are not counted."""
    times = [(timed(a)[0], timed(b)[0]) for _ in range(warm_up + rounds)][warm_up:]
    return Pair([a for a, _ in times], [b for _, b in times])


def command(
    arguments: Sequence[str | Path], directory: Path, environment: Mapping[str, str]
) -> Callable[[], object]:
    """A call that runs the command to its end, its output dropped, and fails when it fails."""

    def run() -> None:
        done = subprocess.run(
            arguments, cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            shown = " ".join(map(str, arguments))
            sys.exit(f"{shown}: exit status {done.returncode}\n{done.stderr}")

    return run


def report(bars: Sequence[Bar]) -> int:
    """Prints a line a bar, and gives the exit status: 1 when one of them is not met."""
    for bar in bars:
        verdict = "ok  " if bar.met else "OVER"
        number = f"{bar.measured:.2f}{bar.unit}"
        limit = f"{bar.limit:g}{bar.unit}"
        print(f"{verdict}  {bar.name}: {number} (at most {limit})  {bar.detail}".rstrip())
    return 0 if all(bar.met for bar in bars) else 1
