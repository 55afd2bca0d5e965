"""Find every process of a simulation, whatever session it fled to, and signal it.

Process groups do not do: torchrun gives each worker a session of its own. Environments do: a
process is found by variables that it was started with (/proc/PID/environ).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MARKER = "SLURMKIT_SIMULATION"
"""Set in every process of a simulation: the path of its own temporary directory."""

_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")
_PATIENCE = 10.0  # a process in uninterruptible sleep is left to the kernel


def adopt_orphans() -> None:
    """Have the kernel make this process the parent of those whose parent dies (man prctl)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def find_processes(variables: Mapping[str, str], *, adopted: bool = False) -> set[int]:
    """Return the processes that were started with all these variables, this one left out.

    Their descendants without the marker belong to them too: a program may start another with an
    empty environment (`env -i`), or write over its own to set its title.

    Args:
        variables: names and values.
        adopted: take in also the children of this process that have no marker.
    """
    wanted = [os.fsencode(f"\0{name}={value}\0") for name, value in variables.items()]
    found: set[int] = set()
    unmarked: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            environment = _environment(entry)
            if os.fsencode(f"\0{MARKER}=") not in environment:
                parent = _living_parent(entry)
                unmarked.setdefault(parent, []).append(int(entry.name))
            elif all(variable in environment for variable in wanted):
                found.add(int(entry.name))
    found.discard(os.getpid())
    heirs = [*found, os.getpid()] if adopted else list(found)
    while heirs:
        children = unmarked.get(heirs.pop(), [])
        found.update(children)
        heirs += children
    return found


def _environment(process: Path) -> bytes:
    try:
        return b"\0" + (process / "environ").read_bytes()
    except PermissionError:  # another user's, or one that may not be looked into
        return b""


def _living_parent(process: Path) -> int:
    """Return the parent of a process; -1 for a zombie, which nobody can signal."""
    state, parent = (process / "stat").read_bytes().rpartition(b")")[2].split()[:2]
    return -1 if state == b"Z" else int(parent)


def send(processes: Iterable[int], number: int) -> None:
    """Send a signal to processes, of which some may be gone.

    The oldest first: a shell whose child dies of the signal before itself ends with another code.
    """
    for process in sorted(processes, key=_born):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _born(process: int) -> tuple[int, int]:
    """Return when a process began, in ticks since the machine did, and its number (man proc)."""
    try:
        words = (_PROC / str(process) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0, process
    return int(words[19]), process


def kill_all(variables: Mapping[str, str]) -> None:
    """Kill the processes with these variables until none is left."""
    deadline = time.monotonic() + _PATIENCE
    while (found := find_processes(variables)) and time.monotonic() < deadline:
        send(found, signal.SIGKILL)
        time.sleep(0.01)
