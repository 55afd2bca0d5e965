"""What a node does when it is asked: one function a round, from the request to the answer."""

from __future__ import annotations

import os
import socket
import sys
import time
from functools import partial
from typing import Any, Callable, Dict

from .look import data, entrypoint, gpus, links, names, storage, versions
from .look.place import Place
from .look.ranks import Ranks
from .timed import together

_AROUND = 64

Request = Dict[str, Any]


def hello(place: Place, request: Request) -> dict[str, Any]:
    """Say who is there, and open the listeners that the others will look for."""
    said: dict[str, Any] = {
        "name": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        "python": sys.executable,
        "port": links.listen(place, request["token"]),
    }
    if place.number == 0 and request.get("master_port"):
        port = request["master_port"]
        said["master"] = links.listen_as_master(place, port, request["token"])
    return said


def ping(place: Place, request: Request) -> float:  # noqa: ARG001
    """Say what time it is."""
    return time.time()


def look(place: Place, request: Request) -> dict[str, Any]:
    """Look at everything that a node can see alone; all of it side by side."""
    wanted, seconds = request["wanted"], request["seconds"] - 1.0
    token = request["token"]
    works: dict[str, Any] = {"identity": (min(seconds, 8), names.identity)}

    def add(group: str, name: str, most: float, work: Callable[[float], Any]) -> None:
        if group in wanted["checks"]:
            limit = min(seconds, most)
            works[name] = (limit, lambda: work(limit - 0.5))

    around = neighbours(wanted["addresses"], place.number)
    add("hosts", "names", 10, lambda left: names.resolve(around, left))
    own = wanted["addresses"][place.number]
    towards = next((address for address in around if address != own), own)
    add(
        "network", "interface", 10,
        lambda _: names.chosen_interface(wanted["interface"], towards),
    )  # fmt: skip
    add("versions", "versions", 20, lambda _: versions.versions())
    if wanted["gpus_per_node"]:
        add("gpus", "gpus", 40, gpus.look)
    for at, path in enumerate(wanted["data"]):
        add("data", f"data {at}", 600, partial(_data, place, path))
    for at, path in enumerate(wanted["storage"]):
        add(
            "storage",
            f"storage {at}",
            20,
            partial(_storage, place, path, token, len(wanted["addresses"])),
        )
    add("storage", "temporary", 10, lambda _: storage.temporary())
    if wanted["entrypoint"]:
        add("entrypoint", "entrypoint", 60,
            lambda left: entrypoint.look(wanted["entrypoint"], left))  # fmt: skip
    add("ranks", "torch", 60, lambda left: _torch(place, left))
    return together(works)


def neighbours(addresses: list[str], number: int) -> list[str]:
    """Return the addresses that a node looks up: the master's, its own, those of the next nodes."""
    count = len(addresses)
    near = [addresses[(number + step) % count] for step in range(min(count, _AROUND))]
    return list(dict.fromkeys([addresses[0], *near]))


def master(place: Place, request: Request) -> str:  # noqa: ARG001
    """Try to reach the master's port."""
    return links.reach(
        request["master_address"], request["master_port"], request["token"], request["seconds"] - 1
    )


def transfer(place: Place, request: Request) -> dict[str, Any]:
    """Send to the nodes that this one is to dial."""
    dials = request["dials"].get(str(place.number), {})
    seconds = request["seconds"] - 1
    return links.transfer(dials, request["token"], request["moment"], seconds)


def shared(place: Place, request: Request) -> Any:  # noqa: ARG001
    """Look for the files that the other nodes have written."""
    return [storage.sees(path, request["token"], request["nodes"]) for path in request["storage"]]


def parts(place: Place, request: Request) -> list[str]:
    """Give a checksum for each part of a data path's files."""
    return data.parts(place.checksums.get(request["path"], {}))


def checksums(place: Place, request: Request) -> dict[str, str]:
    """Give the checksums of the files in some parts of a data path, of the first some thousand."""
    wanted = set(request["parts"])
    known = sorted(place.checksums.get(request["path"], {}).items())
    told = [(name, text) for name, text in known if data.part_of(name) in wanted]
    return dict(told[: request["most"]])


def ranks(place: Place, request: Request) -> dict[str, Any]:
    """Take part in an all-reduce."""
    links.leave_master(place)
    own = request["groups"].get(str(place.number))
    if own is None or place.ranks is None:
        return {"error": "no torch there"}
    outcome: dict[str, Any] = place.ranks.run({**own, "seconds": request["seconds"] - 8})
    return outcome


def spare_ports(place: Place, request: Request) -> Any:  # noqa: ARG001
    """Return ports that nobody uses just now."""
    opened = [links.free_port() for _ in range(request["count"])]
    ports = [server.getsockname()[1] for server in opened]
    for server in opened:
        server.close()
    return ports


def _data(place: Place, path: str, seconds: float) -> dict[str, Any]:
    facts, place.checksums[path] = data.look(path, seconds)
    return facts


def _storage(place: Place, path: str, token: str, nodes: int, _: float) -> dict[str, Any]:
    return storage.look(place, path, token, nodes)


def _torch(place: Place, seconds: float) -> dict[str, Any]:
    place.ranks = Ranks()
    said: dict[str, Any] = place.ranks.ready(seconds)
    return said


ROUNDS: dict[str, Callable[[Place, Request], Any]] = {
    round_.__name__: round_
    for round_ in (
        hello, ping, look, master, transfer, shared, parts, checksums, ranks, spare_ports,
    )
}  # fmt: skip
