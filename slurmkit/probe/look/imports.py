"""Imports a program's modules in a process of its own, which may hang, talk, exit or crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

from .links import free_port

_TAIL = 4096  # bytes of standard error
_IMPORTER = """
import importlib, json, os, sys
answers, program, directory, imports, late = json.loads(sys.argv[1])
def say(*words):
    os.write(answers, json.dumps(words, default=str).encode() + b"\\n")
sys.argv[:] = [program]
sys.path[0] = directory
for at, (module, names) in enumerate(imports):
    say("at", module)
    try:
        found = importlib.import_module(module)
        for name in names:
            if not hasattr(found, name):
                importlib.import_module(module + "." + name)
    except BaseException as error:
        if at >= late and isinstance(error, ImportError):
            continue
        why = f"import {module}: {type(error).__name__}: {str(error)[:500]}"
        classes = [kind.__name__ for kind in type(error).__mro__]
        known = {key: getattr(error, key, None) for key in ("filename", "lineno", "name")}
        say("failed", why, module, classes, known)
        os._exit(1)
say("fine")
os._exit(0)
"""
"""What it prints goes nowhere; its answers have a pipe of their own."""


def try_all(program: str, directory: str, wanted: Any, late: int, seconds: float) -> dict[str, Any]:
    """Import modules and the names wanted of them; from a certain one on some may not be found.

    Returns `fine`, `failed` with what is known of the error, or how it `ended` or was `slow`, with
    the module that it was `at`. What an import has started does not outlive this.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)  # something that was started may hold the other end for ever
    told = json.dumps([writing, program, directory, wanted, late])
    process = subprocess.Popen(
        [sys.executable, "-c", _IMPORTER, told],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[writing],
        env=_environment(),
        start_new_session=True,
    )
    os.close(writing)
    last = bytearray()
    hearing = threading.Thread(target=_hear, args=(process.stderr, last), daemon=True)
    hearing.start()
    code = None
    with suppress(subprocess.TimeoutExpired):
        code = process.wait(seconds)
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    hearing.join(0.5)
    said = [json.loads(line) for line in _all_of(reading).splitlines()]
    kind, *about = said[-1] if said else ("at", "")
    if kind == "fine":
        return {"fine": len(wanted)}
    if kind == "failed":
        return {"failed": about}
    if code is None:
        return {"slow": seconds, "at": about[0]}
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    lines = last.decode(errors="replace").strip().splitlines()
    return {"ended": "; ".join([how, *lines[-1:]]), "at": about[0]}


def _environment() -> dict[str, str]:
    """Return what a launcher would set as well: some modules read it while they are imported."""
    with free_port() as server:
        port = server.getsockname()[1]
    alone = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {**os.environ, **{name: str(value) for name, value in {**alone, **meeting}.items()}}


def _all_of(reading: int) -> bytes:
    """Return the whole lines that a pipe holds, and close it."""
    text = b""
    with suppress(BlockingIOError):
        while True:
            part = os.read(reading, 65536)
            if not part:
                break
            text += part
    os.close(reading)
    return text[: text.rfind(b"\n") + 1]


def _hear(errors: Any, last: bytearray) -> None:
    """Keep the end of what is said, and never let the speaker wait."""
    with suppress(OSError, ValueError):
        for part in iter(lambda: os.read(errors.fileno(), 65536), b""):
            last += part
            del last[:-_TAIL]
