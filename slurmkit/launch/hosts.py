"""The hosts of a job that runs without Slurm: from the command line, a hostfile or the job file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from slurmkit.spec.errors import Place, Problem, SpecError

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_NAME = re.compile(r"[^\s,#=-][^\s,#=]*\Z")
_SLOTS = re.compile(r"slots=([1-9][0-9]*)\Z")


@dataclass(frozen=True, slots=True)
class Host:
    """One host."""

    name: str
    """As ssh takes it: a name, an address, `user@name`, or an alias of ~/.ssh/config."""
    slots: int | None = None
    """How many processes it has room for; None where nobody said."""


def choose_hosts(
    spec: JobSpec, *, hosts: str | None = None, hostfile: Path | None = None
) -> list[Host]:
    """Return the hosts in the order of their node numbers.

    Args:
        spec: the job, whose own `hosts` counts when nothing else is given.
        hosts: names joined by commas.
        hostfile: a file with a host a line.

    Raises:
        SpecError: there is none, or what there is names no hosts.
    """
    if hosts is not None and hostfile is not None:
        _fail("both", "--hosts", "give --hosts or --hostfile")
    if hosts is not None:
        place = Place("--hosts")
        chosen = [_host(name.strip(), None, place) for name in hosts.split(",")]
    elif hostfile is not None:
        place, chosen = Place(str(hostfile)), read_hostfile(hostfile)
    else:
        place, chosen = Place("hosts"), [Host(name) for name in spec.hosts]
    if not chosen:
        _fail(
            "no hosts to run on",
            place.source,
            "give --hosts a,b, --hostfile FILE, or hosts: [a, b]",
        )
    names = [host.name.rpartition("@")[2] for host in chosen]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        fix = "name each host once; resources.processes_per_node says how many processes it has"
        _fail(f"{', '.join(twice)} stands there twice", place.source, fix)
    return chosen


def read_hostfile(path: Path) -> list[Host]:
    """Read lines such as `host`, `host slots=8` and `# comment`: the hostfiles of MPI.

    Raises:
        SpecError: the file cannot be read, or a line is no host.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"cannot be read: {error}", str(path), "name a file with a host a line")
    hosts = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        place = Place(str(path), number, 1)
        slots = None
        for word in words[1:]:
            if not (match := _SLOTS.match(word)):
                fix = "write `host` or `host slots=8`"
                raise SpecError([Problem(f"{word!r} is not known here", place, fix=fix)])
            slots = int(match[1])
        hosts.append(_host(words[0], slots, place))
    return hosts


def on_hosts(spec: JobSpec, hosts: Sequence[Host]) -> JobSpec:
    """Return the job as it runs on these hosts: their number is that of its nodes.

    Raises:
        SpecError: the job says another number, or wants more processes than a host has room for.
    """
    said = spec.resources.model_fields_set
    if "nodes" in said and spec.resources.nodes != len(hosts):
        _fail(
            f"nodes: {spec.resources.nodes}, but {len(hosts)} hosts",
            "resources.nodes",
            f"leave it out, or --set resources.nodes={len(hosts)}",
        )
    resources = {"nodes": len(hosts)}
    rooms = [host.slots for host in hosts if host.slots is not None]
    stated = spec.resources.processes_per_node or spec.resources.gpus_per_node
    if rooms and not stated:
        resources["processes_per_node"] = min(rooms)
    small = [host for host in hosts if host.slots and stated and host.slots < stated]
    if small:
        _fail(
            f"{small[0].name} has slots={small[0].slots}",
            "resources.processes_per_node",
            f"the job has {stated} processes a node: write no more than each host has slots",
        )
    return spec.replace({"resources": resources, "hosts": [host.name for host in hosts]})


def _host(name: str, slots: int | None, place: Place) -> Host:
    if not _NAME.match(name):
        fix = "write names or addresses as ssh takes them: --hosts 10.0.1.100,me@box2"
        raise SpecError([Problem(f"{name!r} is no host", place, fix=fix)])
    return Host(name, slots)


def _fail(what: str, where: str, fix: str) -> NoReturn:
    raise SpecError([Problem(what, Place(where), fix=fix)])
