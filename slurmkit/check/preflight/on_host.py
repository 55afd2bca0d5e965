"""Runs on a host as it stands, under the job's Python: looks, and says what it sees as JSON.

Needs the standard library only, of Python 3.8 or newer; it never imports torch, which takes long.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

CODE = (".py", ".sh")
LARGE = 64 << 20  # bytes: no code that somebody wrote
MOST_FILES = 3000
SKIPPED = {"node_modules", "__pycache__", "runs", "build", "dist", "site-packages"}


def look(wanted: dict[str, Any]) -> dict[str, Any]:
    """Say what this host has."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "executable": sys.executable,
        "packages": packages(),
        "files": files(wanted),
        "commit": commit(wanted),
        "interfaces": interfaces(wanted.get("interface")),
        "gpus": gpus() if wanted.get("gpus") else None,
        "port": port_state(wanted["master"], wanted["port"]) if wanted.get("is_master") else None,
    }


def packages() -> dict[str, str]:
    """Return the versions of torch, and of the NCCL that it came with."""
    from importlib.metadata import distributions

    found = {}
    for distribution in distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if name == "torch" or name.startswith("nvidia-nccl"):
            found[name.split("-cu")[0]] = distribution.version
    if "torch" not in found and importlib.util.find_spec("torch") is not None:
        found["torch"] = "without a version"  # built by hand
    return found


def starts(wanted: dict[str, Any]) -> list[Path]:
    """Return the files and directories that the program begins with."""
    if wanted.get("module"):
        try:
            spec = importlib.util.find_spec(wanted["module"].split(".")[0])
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            return []
        return list(map(Path, spec.submodule_search_locations or [str(spec.origin)]))
    if wanted.get("script"):
        return [Path(wanted["script"]).expanduser()]
    command = wanted.get("command", [])
    programs = [word for at, word in enumerate(command) if not at or word.endswith(CODE)]
    return [Path(word) for word in programs if is_own_file(word)]


def is_own_file(word: str) -> bool:
    """Tell whether a word names a file that is not the system's."""
    try:
        return Path(word).is_file() and not word.startswith(("/usr/", "/bin/"))
    except OSError:  # too long for a name
        return False


def files(wanted: dict[str, Any]) -> dict[str, str]:
    """Return the checksums of the program's Python files, by path."""
    found = {}
    for start in starts(wanted):
        top = start if start.is_dir() else start.parent
        if start.is_file():
            found[start.name] = checksum(start)
            if start.suffix != ".py":
                continue
        for directory, names, inside in os.walk(top):
            names[:] = sorted(name for name in names if not skipped(Path(directory, name)))
            for name in sorted(inside):
                if name.endswith(".py") and len(found) < MOST_FILES:
                    path = Path(directory, name)
                    found[str(path.relative_to(top))] = checksum(path)
    return found


def skipped(path: Path) -> bool:
    """Tell whether a directory holds no code of the program's."""
    hidden = path.name in SKIPPED or path.name.startswith(".")
    return hidden or (path / "pyvenv.cfg").exists()


def checksum(path: Path) -> str:
    """Return the checksum of a file, of a large one the size; where it cannot be read, why."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe, say, which would hold us up
            return "no file"
        if found.st_size > LARGE:
            return f"{found.st_size} bytes"
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        return str(error.strerror)


def commit(wanted: dict[str, Any]) -> str | None:
    """Return the commit of the program's directory; None where it is no checkout of git."""
    start = (starts(wanted) or [Path()])[0]
    top = start if start.is_dir() else start.parent
    words = ["git", "-C", str(top), "rev-parse", "--short=12", "HEAD"]
    return output(words, 20).strip() or None


def interfaces(name: str | None) -> list[str] | None:
    """Return the interfaces where none is meant: to NCCL `eth` is a prefix, `^lo` all others."""
    there = sorted(path.name for path in Path("/sys/class/net").iterdir())
    wanted = name or ""
    words = tuple(word for word in wanted.lstrip("=^").split(",") if word)
    named = [have for have in there if have.startswith(words)]
    if wanted.startswith("="):
        named = [have for have in there if have in words]
    elif wanted.startswith("^"):
        named = [have for have in there if have not in named]
    return None if named or not wanted else there


def gpus() -> int | None:
    """Return the number of GPUs; None where nvidia-smi does not say."""
    if shutil.which("nvidia-smi") is None:
        return None
    return sum(line.startswith("GPU ") for line in output(["nvidia-smi", "-L"], 60).splitlines())


def output(words: list[str], seconds: float) -> str:
    """Return what a command prints; nothing when it cannot be run."""
    try:
        told = subprocess.run(
            words,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.decode(errors="replace")


def bound(address: str, port: int) -> socket.socket:
    """Return a socket that listens there."""
    places = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    family, _, _, _, place = places[0]
    server = socket.socket(family)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(place)
        server.listen(1024)
    except OSError:
        server.close()
        raise
    return server


def port_state(address: str, port: int) -> str:
    """Try to listen at the master's address: free, taken, elsewhere, or why not."""
    try:
        bound(address, port).close()
    except OSError as error:
        known = {errno.EADDRINUSE: "taken", errno.EADDRNOTAVAIL: "elsewhere"}
        return known.get(error.errno or 0) or error.strerror or str(error)
    return "free"


def listen(wanted: dict[str, Any]) -> None:
    """Answer at the master's port until standard input ends."""
    server = bound(wanted["master"], wanted["port"])

    def answer() -> None:
        while True:
            client, _ = server.accept()
            with client:
                client.sendall(wanted["token"].encode())

    threading.Thread(target=answer, daemon=True).start()
    print(json.dumps("listening"), flush=True)
    sys.stdin.read()


def connect(wanted: dict[str, Any]) -> str:
    """Try to reach the master: `ok`, or why not."""
    try:
        with socket.create_connection((wanted["master"], wanted["port"]), timeout=5) as client:
            client.settimeout(5)
            said = client.recv(64).decode(errors="replace")
    except socket.timeout:  # noqa: UP041  not TimeoutError before Python 3.10
        return "timed out"
    except socket.gaierror:
        return "unknown host name"
    except OSError as error:
        return error.strerror or str(error)
    return "ok" if said == wanted["token"] else "somebody else answers"


def main() -> None:
    """Do what the first argument says with the second, in JSON."""
    wanted = json.loads(sys.argv[2])
    if sys.argv[1] == "listen":
        listen(wanted)
    else:
        answer = look(wanted) if sys.argv[1] == "look" else connect(wanted)
        print("slurmkit-probe " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
