"""Names, addresses and network interfaces, read from the kernel: no `ip` need be installed."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import re
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..timed import each

_SIOCGIFADDR = 0x8915  # linux/sockios.h
_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_GLOBAL = "00"  # the scope, in /proc/net/if_inet6
_NET = Path("/sys/class/net")


def resolve(addresses: Sequence[str], seconds: float) -> dict[str, Any]:
    """Look names up; return for each the list of its addresses, or `error`, or `timeout`."""

    def look_up(name: str) -> list[str]:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return sorted({str(place[4][0]) for place in found})

    return each(list(addresses), seconds, look_up)


def identity() -> dict[str, Any]:
    """Return this node's names, and the addresses that are its own."""
    name = socket.gethostname()
    gloo = os.environ.get("GLOO_SOCKET_IFNAME", "")
    try:
        places = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        own = sorted({str(place[4][0]) for place in places})
    except OSError as error:
        why = str(error.strerror)
        return {"host": name, "own": [], "error": why, "addresses": addresses(), "gloo": gloo}
    return {"host": name, "own": own, "addresses": addresses(), "gloo": gloo}


def addresses() -> list[str]:
    """Return all addresses of this node, those of all its interfaces."""
    found = {str(address_of(name) or "") for name in interfaces()}
    with contextlib.suppress(OSError):  # names every address, where the other names one
        found |= set(_LOCAL.findall(Path("/proc/net/fib_trie").read_text()))
    found |= {text for _, text, _ in addresses_6()}
    return sorted(found - {""})


def interfaces() -> list[str]:
    """Return the names of the network interfaces."""
    try:
        return sorted(os.listdir(_NET))  # noqa: PTH208
    except OSError:
        return sorted(name for _, name in socket.if_nameindex())


def address_of(interface: str) -> str | None:
    """Return an interface's first IPv4 address, else one of IPv6 that others reach, or None."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        try:
            words = fcntl.ioctl(
                asking.fileno(), _SIOCGIFADDR, struct.pack("256s", interface[:15].encode())
            )
        except OSError:
            return next((text for name, text, scope in addresses_6()
                         if (name, scope) == (interface, _GLOBAL)), None)  # fmt: skip
    return socket.inet_ntoa(words[20:24])


def addresses_6() -> list[tuple[str, str, str]]:
    """Return this node's IPv6 addresses, each with its interface and scope."""
    try:
        lines = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    except OSError:
        return []
    return [(line[5], str(ipaddress.IPv6Address(int(line[0], 16))), line[3]) for line in lines]


def matching(wanted: str, there: Sequence[str]) -> list[str]:
    """Return the interfaces that a value of NCCL_SOCKET_IFNAME means.

    `eth` is a prefix, `=eth0` a name, `^docker,lo` all but these (NCCL's environment variables).
    """
    text = wanted.strip()
    without, exact = text.startswith("^"), "=" in text[:2]
    words = [word for word in text.lstrip("^=").split(",") if word]

    def meant(name: str) -> bool:
        return any(name == word if exact else name.startswith(word) for word in words)

    return [name for name in there if meant(name) != without]


def chosen_interface(wanted: str, towards: str) -> dict[str, Any]:
    """Return what the ranks' traffic will use: the interface asked for, or that of the route."""
    there = interfaces()
    names = [
        *filter(None, [wanted, *map(os.environ.get, ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"))])
    ]
    if names:
        found = matching(str(names[0]), there)
        usable = [name for name in found if address_of(name) and state_of(name) != "down"]
        if not found:
            return {"wanted": names[0], "there": there, "infiniband": infiniband()}
        return {"wanted": names[0], **facts_of((usable or found)[0]), "infiniband": infiniband()}
    local = local_address(towards)
    on_route = [name for name in there if local and address_of(name) == local]
    return {**(facts_of(on_route[0]) if on_route else {}), "infiniband": infiniband()}


def local_address(towards: str) -> str:
    """Return the address from which packets to another leave; nothing is sent."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(towards, 9, type=socket.SOCK_DGRAM)[0]
        with contextlib.closing(socket.socket(family, kind)) as asking:
            asking.connect(place)
            return str(asking.getsockname()[0])
    except OSError:
        return ""


def facts_of(name: str) -> dict[str, Any]:
    """Return an interface's state, address, speed in Mbit/s and MTU; what is not told is None."""
    speed = _number(_NET / name / "speed")
    return {
        "name": name,
        "state": state_of(name),
        "address": address_of(name),
        "speed": speed if speed and speed > 0 else None,
        "mtu": _number(_NET / name / "mtu"),
    }


def state_of(name: str) -> str:
    """Return up, down, or unknown (as of lo and of some virtual interfaces)."""
    return _text(_NET / name / "operstate") or "unknown"


def infiniband() -> dict[str, str]:
    """Return the state and rate of each port of InfiniBand or RoCE."""
    ports = Path("/sys/class/infiniband").glob("*/ports/*")
    return {
        f"{port.parts[-3]}/{port.name}": f"{_text(port / 'state')}, {_text(port / 'rate')}"
        for port in sorted(ports)
    }


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None
