"""Whether TCP gets from node to node, at the master's port and at ports of the kernel's choice."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Any

from ..timed import each
from .place import Place

_BLOCK = bytes(256 * 1024)
_MOST = 256 * 1024 * 1024  # bytes in one direction
_PATIENCE = 5.0  # seconds for a connection
_COUNT = struct.Struct("!Q")


def listen(place: Place, token: str) -> int:
    """Answer at a port that the kernel chooses, as NCCL and gloo do; return the port."""
    server = _bound("", 0)
    place.sockets["pairs"] = server
    threading.Thread(target=_serve, args=(server, token), daemon=True).start()
    return int(server.getsockname()[1])


def listen_as_master(place: Place, port: int, token: str) -> str:
    """Answer at the master's port on all addresses, as torch does; return ok, or why not."""
    try:
        server = _bound("", port)
    except OSError as error:
        return str(error.strerror)
    place.sockets["master"] = server
    threading.Thread(target=_serve, args=(server, token), daemon=True).start()
    return "ok"


def leave_master(place: Place) -> None:
    """Give the master's port back."""
    server = place.sockets.pop("master", None)
    if server is not None:
        with contextlib.suppress(OSError):  # wakes the thread that waits in accept
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def reach(address: str, port: int, token: str, seconds: float = _PATIENCE) -> str:
    """Try to reach a listener: ok, or why not."""
    try:
        with _connected(address, port, token, min(seconds, _PATIENCE)):
            return "ok"
    except (OSError, UnicodeError) as error:
        return why(error)


def transfer(dials: dict[str, Any], token: str, moment: float, seconds: float) -> dict[str, Any]:
    """Send to some nodes for a moment each; return bytes a second, or why not, for each."""

    def send_to(number: str) -> Any:
        address, port = dials[number]
        try:
            with _connected(address, port, token, min(seconds, _PATIENCE)) as line:
                return {"rate": _send(line, moment, seconds)}
        except (OSError, UnicodeError) as error:
            return {"error": why(error)}

    return each(sorted(dials), seconds, send_to)


def why(error: OSError | UnicodeError) -> str:
    """Say why a connection came to nothing."""
    if isinstance(error, UnicodeError):  # a part of it is empty, or longer than 63 letters
        return f"name not resolved ({error})"
    if isinstance(error, socket.gaierror):
        return f"name not resolved ({error.strerror})"
    if isinstance(error, socket.timeout):
        return "timed out"
    return error.strerror or str(error)


def _send(line: socket.socket, moment: float, seconds: float) -> float:
    """Send as much as goes in a moment; return bytes a second that have arrived."""
    started = time.monotonic()
    sent = 0
    line.settimeout(max(seconds, 1.0))
    while time.monotonic() - started < moment and sent < _MOST:
        sent += line.send(_BLOCK)
    line.shutdown(socket.SHUT_WR)
    arrived = _COUNT.unpack(_exactly(line, _COUNT.size))[0]
    return float(arrived / max(time.monotonic() - started, 1e-9))


def free_port() -> socket.socket:
    """Return a socket that holds a port which nobody else has."""
    return _bound("", 0)


def _bound(address: str, port: int) -> socket.socket:
    both = socket.has_ipv6 and not address
    server = socket.socket(socket.AF_INET6 if both else socket.AF_INET)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if both:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((address, port))
        server.listen(1024)
    except OSError:
        server.close()
        if both:  # IPv6 is switched off
            return _bound("0.0.0.0", port)  # noqa: S104
        raise
    return server


def _serve(server: socket.socket, token: str) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(client, token), daemon=True).start()


def _answer(client: socket.socket, token: str) -> None:
    """Say the token, take in what comes, say how much it was."""
    with contextlib.suppress(OSError), client:
        client.settimeout(60)
        client.sendall(token.encode())
        space = bytearray(len(_BLOCK))
        count = 0
        while True:
            got = client.recv_into(space)
            if not got:
                break
            count += got
        client.sendall(_COUNT.pack(count))


def _connected(address: str, port: int, token: str, seconds: float) -> socket.socket:
    line = socket.create_connection((address, port), timeout=seconds)
    try:
        line.settimeout(seconds)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * len(_BLOCK))
        if _exactly(line, len(token)) != token.encode():
            raise OSError(0, "another program answers there")
    except BaseException:
        line.close()
        raise
    return line


def _exactly(line: socket.socket, count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = line.recv(count)
        if not part:
            raise OSError(0, "the connection was closed at once")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
