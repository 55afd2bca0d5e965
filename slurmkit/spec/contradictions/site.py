"""Options, networks and ports that Slurm or Linux would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.spec.contradictions.found import Contradiction

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_SUFFIX = re.compile(r"[A-Za-z0-9._-]*\Z")

EPHEMERAL_PORTS = range(32768, 61000)
"""Ports that Linux hands out to clients (net.ipv4.ip_local_port_range): taken now and then."""


def network(spec: JobSpec) -> Iterator[Contradiction]:
    """Find ports and host names that cannot work."""
    if not _SUFFIX.match(spec.site.host_suffix):
        expected = "letters, digits, `.`, `_` and `-`"
        fix = "write what follows the node's name, such as -ib"
        yield Contradiction(("site", "host_suffix"), "no part of a host name", fix, expected)
    expected = "1024 to 32767, below the ports that Linux hands out to clients"
    port, (first, last) = spec.launcher.port, spec.site.port_range
    if port != "auto" and not 1024 <= port < EPHEMERAL_PORTS.start:
        fix = "write auto: the port then follows from the job id"
        yield Contradiction(("launcher", "port"), f"port {port}", fix, expected)
    if not 1024 <= first <= last < EPHEMERAL_PORTS.start:
        fix = "write [15000, 31999] or a part of it"
        path = ("site", "port_range")
        yield Contradiction(path, f"ports {first} to {last}", fix, expected)


def options(spec: JobSpec) -> Iterator[Contradiction]:
    """Find options that the tool, or this version of it, does not take."""
    if not spec.sbatch and not spec.launcher.srun and spec.site.slurm_version is None:
        return
    from slurmkit.slurm.grammar import GrammarError, parse_version
    from slurmkit.slurm.options import Tool, check_option

    version = spec.site.slurm_version
    if version is not None:
        try:
            parse_version(version)
        except GrammarError as error:
            path = ("site", "slurm_version")
            yield Contradiction(path, "no version", error.fix, error.expected)
            return
    given: dict[tuple[str, ...], str] = {}
    given |= {("sbatch", name): value for name, value in spec.sbatch.items()}
    given |= {("launcher", "srun", name): value for name, value in spec.launcher.srun.items()}
    for where, value in given.items():
        tool: Tool = "sbatch" if where[0] == "sbatch" else "srun"
        try:
            check_option(tool, where[-1], value, version)
        except GrammarError as error:
            what = f"this option of {tool} cannot be set like this"
            yield Contradiction(where, what, error.fix, error.expected)
