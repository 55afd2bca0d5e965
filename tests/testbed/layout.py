"""Where everything of one bed lies: directories, node names, addresses."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

LOGIN = "login"
LOGIN_ADDRESS = "10.99.0.1"
BRIDGE = "cluster"
CPUS = 8
MEMORY_MB = 8000
GPUS = 4


@dataclass(frozen=True)
class Layout:
    """One bed: its state directory and how many nodes it has.

    Names and addresses are the same in every bed, since each has a network of its own.
    """

    state: Path
    node_count: int = 2

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes: node1, node2, …"""
        return tuple(f"node{number}" for number in range(1, self.node_count + 1))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The login host and the nodes."""
        return (LOGIN, *self.nodes)

    def address(self, host: str) -> str:
        """Give the address of the login host or of a node."""
        return f"10.99.0.{1 if host == LOGIN else 10 + int(host.removeprefix('node'))}"

    @property
    def etc(self) -> Path:
        """The configuration files; over /etc/slurm within the bed."""
        return self.state / "etc"

    @property
    def slurm_conf(self) -> Path:
        """What SLURM_CONF names."""
        return self.etc / "slurm.conf"

    @property
    def log(self) -> Path:
        """A log file a daemon."""
        return self.state / "log"

    @property
    def munge_socket(self) -> Path:
        """The socket of munged: one path, another daemon behind it on every host."""
        return self.state / "munge" / "socket"

    @property
    def database(self) -> Path:
        """MariaDB's data, in memory, seen from within the bed only."""
        return self.state / "database"

    @property
    def login_network(self) -> Path:
        """The login host's network namespace as a file, for nodes to plug their cable in."""
        return self.state / "login.network"

    def gpu(self, index: int) -> Path:
        """The device file of a pretend GPU."""
        return self.state / "dev" / f"gpu{index}"

    def home(self, user: str) -> Path:
        """A home directory that an ordinary user can write."""
        return self.state / "home" / user

    def save(self, **processes: int) -> None:
        """Write down the bed for `attach`, with the ids of its processes."""
        facts = {**asdict(self), "state": str(self.state), **processes}
        (self.state / "bed.json").write_text(json.dumps(facts))


def read_bed(state: Path) -> tuple[Layout, dict[str, int]]:
    """Read what `save` wrote: the layout, and the ids of the bed's processes."""
    facts = json.loads((state / "bed.json").read_text())
    layout = Layout(Path(facts.pop("state")), facts.pop("node_count"))
    return layout, facts
