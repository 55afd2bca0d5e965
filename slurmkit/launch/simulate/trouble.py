"""The trouble that a simulation rehearses, and when it strikes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from signal import Signals
from typing import Literal

from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.launch.simulate.nodes import node_name

_TIME = re.compile(r"(\d{1,7})(s|m|h)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_NODE = re.compile(r"(?:node)?(\d{1,5})")


@dataclass(frozen=True)
class Strike:
    """One blow of trouble."""

    after: int
    """Seconds from the start of a run of the script."""
    kind: Literal["kill", "signal", "preempt", "cancel"]
    node: int = 0
    """The node that `kill` hits."""
    signal: Signals = Signals.SIGUSR1
    """What `signal` sends."""

    def __str__(self) -> str:
        what = {"kill": f" {node_name(self.node)}@", "signal": f" {self.signal.name[3:]}@"}
        return f"--{self.kind}{what.get(self.kind, ' ')}{self.after}s"


@dataclass(frozen=True)
class Trouble:
    """All that goes wrong in one simulation."""

    strikes: tuple[Strike, ...] = ()
    grace: int = 30
    """GraceTime of the partition, in seconds: from a preemption to the end of the job."""
    in_every_run: bool = False
    """Whether it strikes again in a requeued run."""

    def of_run(self, restarts: int) -> list[Strike]:
        """Return what strikes in one run of the script, the first blow first."""
        if restarts and not self.in_every_run:
            return []
        return sorted(self.strikes, key=lambda strike: strike.after)

    def check(self, nodes: int) -> None:
        """Raise SimulationError when a node is named that the job does not have."""
        for strike in self.strikes:
            if strike.kind == "kill" and strike.node >= nodes:
                last = f" to {node_name(nodes - 1)}" if nodes > 1 else " alone"
                raise SimulationError(f"{strike}: the job has {node_name(0)}{last}")


def read_seconds(text: str) -> int:
    """Read a span of time: 10s, 2m, 1h, or 10 for seconds.

    Raises:
        ValueError: it is none of these.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time: write 10s, 2m, 1h, or 10 for seconds")
    return int(match[1]) * _SECONDS[match[2] or "s"]


def read_kill(text: str) -> Strike:
    """Read node1@10s.

    Raises:
        ValueError: it is not written like this.
    """
    name, after = _parted(text, "node1@10s")
    match = _NODE.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no node of a simulation: they are node0, node1, …")
    return Strike(after, "kill", node=int(match[1]))


def read_signal(text: str) -> Strike:
    """Read USR1@10s.

    Raises:
        ValueError: it is not written like this, or there is no such signal.
    """
    name, after = _parted(text, "USR1@10s")
    try:
        return Strike(after, "signal", signal=Signals[f"SIG{name.upper().removeprefix('SIG')}"])
    except KeyError:
        raise ValueError(f"{name!r} is no signal: write USR1, USR2, TERM, …") from None


def _parted(text: str, example: str) -> tuple[str, int]:
    what, at, after = text.partition("@")
    if not at:
        raise ValueError(f"{text!r} names no time: write it like {example}")
    return what, read_seconds(after)
