"""All that the nodes have said: what the judges are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .settings import Settings


class Interval(NamedTuple):
    """What a clock's offset lies between, in seconds, as seen from where the rounds come from."""

    lower: float
    upper: float


class Trial(NamedTuple):
    """One all-reduce over the ranks of some nodes."""

    nodes: tuple[int, ...]
    said: dict[int, dict[str, Any]]
    """By node, what its ranks say: `ranks`, or `error`."""


@dataclass
class Facts:
    """By node number, unless said otherwise."""

    settings: Settings
    silent: dict[int, str] = field(default_factory=dict)
    """Nodes that gave no answer, and why."""
    failed: dict[int, str] = field(default_factory=dict)
    """Nodes where a round failed, the first such round, and why."""
    hello: dict[int, dict[str, Any]] = field(default_factory=dict)
    clocks: dict[int, Interval] = field(default_factory=dict)
    look: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What each node sees alone, by check; see rounds.look."""
    master: dict[int, str] = field(default_factory=dict)
    """How each node reaches the master's port: ok, or why not."""
    links: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    """By sender and receiver: `rate` in bytes a second, or `error`."""
    unseen: dict[int, list[list[int]]] = field(default_factory=dict)
    """For each storage path, the nodes whose files a node does not see."""
    checksums: dict[str, dict[int, dict[str, str]]] = field(default_factory=dict)
    """By data path, and node: the checksums of its files, where nodes differ."""
    trials: list[Trial] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """Groups for which no time was left."""
    stopped: tuple[int, ...] | None = None
    """Where the checks were ended before they were done: the nodes that had not answered."""

    @property
    def heard(self) -> list[int]:
        """The nodes that have been looked at."""
        return sorted(self.look)

    def name(self, number: int) -> str:
        """What a node is called."""
        return self.settings.nodes[number].name

    def of(self, check: str) -> dict[int, Any]:
        """What each node that was looked at says of one check."""
        return {node: said[check] for node, said in sorted(self.look.items()) if check in said}
