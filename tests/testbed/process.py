"""Start and await the programs of a bed, from within it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.testbed.install import SYSTEM_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testbed.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
NEW_HOST = ["--kill-child", "--mount", "--mount-proc", "--net", "--uts", "--pid", "--fork"]
"""Options of unshare(1) that make a host: own mounts, network, name and processes.

When the host's first process ends, the kernel kills all others and takes down its network and
mounts; so there is nothing to clean up, however the host ends.
"""


class BedError(Exception):
    """The bed did not come up; the text says which part, and what its log says."""


def environment(layout: Layout) -> dict[str, str]:
    """Give the environment of the daemons: nothing of the person who started them."""
    return {
        "PATH": SYSTEM_PATH,
        "LANG": "C.UTF-8",
        "SLURM_CONF": str(layout.slurm_conf),
        "PYTHONPATH": str(ROOT),
    }


def module(name: str, *arguments: object) -> list[str]:
    """Give the command that runs a module of this package."""
    return [sys.executable, "-B", "-m", f"tests.testbed.{name}", *map(str, arguments)]


def ask(layout: Layout, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail."""
    return subprocess.run(
        [str(word) for word in command],
        env=environment(layout),
        cwd="/",
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def call(layout: Layout, *command: object) -> None:
    """Run a command of the set-up; a failure stops the bed."""
    done = ask(layout, *command)
    if done.returncode != 0:
        words = " ".join(map(str, command))
        raise BedError(
            f"`{words}` exited {done.returncode}: {(done.stderr or done.stdout).strip()}"
        )


@dataclass(frozen=True)
class Daemon:
    """A daemon that has been started, in the foreground."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path

    def wait_until(self, ready: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for it to answer; say so at once when it has died instead."""
        deadline = time.monotonic() + seconds
        while not ready():
            if (code := self.process.poll()) is not None:
                last = self.output.read_text(errors="replace").strip().splitlines()[-5:]
                words = " / ".join(last)
                raise BedError(f"{self.name} ended with exit code {code} at its start: {words}")
            if time.monotonic() > deadline:
                raise BedError(f"{self.name} did not answer within {seconds:g} s")
            time.sleep(0.02)


def start(layout: Layout, name: str, output: str, *command: object) -> Daemon:
    """Start a daemon, what it prints going to a file in the log directory."""
    path = layout.log / output
    with path.open("ab") as stream:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=environment(layout),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    return Daemon(name, process, path)
