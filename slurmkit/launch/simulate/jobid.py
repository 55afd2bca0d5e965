"""A job id whose port nobody else on this machine has, held until the simulation ends."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slurmkit.spec.model import JobSpec

_IDS = range(100_000_000, 1_000_000_000)
"""Above the largest id that Slurm gives (67,043,328): no command of Slurm can mistake one."""
_TRIES = 1000


def port_of(spec: JobSpec, job_id: int) -> int:
    """Return the port of the first attempt, as the script reckons it."""
    first, last = spec.site.port_range
    port = spec.launcher.port
    return first + job_id % (last - first + 1) if port == "auto" else port


@contextlib.contextmanager
def held_job_id(port: Callable[[int], int], is_used: Callable[[int], bool]) -> Iterator[int]:
    """Give a job id, and keep other simulations from its port until the end of the block.

    The hold is a UDP socket on the port: it is in nobody's way, no other process can have it too,
    and the kernel lets go of it when this process dies.

    Raises:
        SimulationError: no free port was found.
    """
    for _ in range(_TRIES):
        job_id = random.choice(_IDS)  # noqa: S311  no secret
        if is_used(job_id):
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hold:
            try:
                hold.bind(("127.0.0.1", port(job_id)))
            except OSError:
                continue
            if _is_free(port(job_id)):
                yield job_id
                return
    raise SimulationError(
        f"no free port for the processes to meet at (tried port {port(_IDS[0])} and others like "
        "it): wait for the other simulation to end, or set launcher.port=auto and a wider "
        "site.port_range"
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
