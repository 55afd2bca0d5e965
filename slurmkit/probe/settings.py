"""What is asked of a preflight: the nodes, the groups of checks, their paths and limits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

GROUPS = (
    "hosts", "network", "versions", "gpus", "data", "storage", "entrypoint", "ranks",
)  # fmt: skip


class SettingsError(ValueError):
    """The settings cannot be used; the text says which and why."""


class Node(NamedTuple):
    """A node of the job."""

    name: str
    """As the scheduler calls it, and as it can be excluded."""
    address: str
    """The name or address by which the others reach it."""


@dataclass(frozen=True)
class Settings:
    """All that a preflight is told."""

    nodes: tuple[Node, ...]
    checks: tuple[str, ...] = GROUPS
    timeout: float = 120
    """Seconds for all of it."""
    interface: str = ""
    """For NCCL and gloo, as NCCL_SOCKET_IFNAME takes it."""
    gpus_per_node: int = 0
    processes_per_node: int = 1
    data: tuple[str, ...] = ()
    """Paths that must hold the same on all nodes."""
    storage: tuple[str, ...] = ()
    """Directories that the job writes to."""
    free: int = 1 << 30
    """Bytes that must be free in each of them."""
    entrypoint: dict[str, Any] | None = None
    """`module`, `script` or `command`."""
    torch: bool = True
    """Whether the job cannot start without torch."""
    backend: str = ""
    master_address: str = ""
    master_port: int = 0
    shared: bool = True
    """Whether the storage is meant to be one for all nodes."""
    local: bool = False
    """Whether the nodes are pretend ones of a single machine."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the nodes are called."""
        return tuple(node.name for node in self.nodes)

    @classmethod
    def from_json(
        cls, given: dict[str, Any], nodes: Sequence[Node] = (), environment: Any = os.environ
    ) -> Settings:
        """Read settings; nodes and the master not given there are taken from the other two."""
        values = dict(given)
        known = {field.name for field in fields(cls)}
        for key in values:
            if key not in known:
                raise SettingsError(f"no setting {key!r}; there are {', '.join(sorted(known))}")
        try:
            named = tuple(Node(str(n["name"]), str(n["address"])) for n in values.pop("nodes", ()))
            values["nodes"] = named or tuple(nodes)
            for key in ("checks", "data", "storage"):
                if values.get(key) is not None:
                    values[key] = tuple(map(str, values[key]))
            values = {key: value for key, value in values.items() if value is not None}
            if not values["nodes"]:
                raise SettingsError("no nodes: give --nodes, or set SLURMKIT_NODES")
            first = values["nodes"][0].address
            values.setdefault("master_address", environment.get("MASTER_ADDR") or first)
            values.setdefault("master_port", int(environment.get("MASTER_PORT") or 0))
            settings = cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, SettingsError):
                raise
            raise SettingsError(f"the settings cannot be read: {error}") from None
        unknown = [group for group in settings.checks if group not in GROUPS]
        if unknown:
            raise SettingsError(f"no checks {unknown[0]!r}; there are {', '.join(GROUPS)}")
        return settings
