"""Run scripts over pretend nodes in a process of its own, as `slurmkit simulate` does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DRIVER = """
import json, pathlib, sys
from slurmkit.launch.simulate.machine import Machine
from slurmkit.launch.simulate.run import simulate
from slurmkit.launch.simulate.trouble import Trouble, read_kill, read_signal, Strike
given = json.loads(sys.argv[3])
strikes = [read_kill(text) for text in given.get("kill", [])]
strikes += [read_signal(given["signal"])] if "signal" in given else []
strikes += [Strike(given[kind], kind) for kind in ("preempt", "cancel") if kind in given]
outcome = simulate(
    pathlib.Path(sys.argv[1]).read_text(),
    machine=Machine(cpus=2, gpus=json.loads(sys.argv[2])),
    port_of=lambda job_id: 15000 + job_id % 17000,
    trouble=Trouble(tuple(strikes), given.get("grace", 30), given.get("every_run", False)),
)
first = outcome.first and outcome.first.text
fields = {**vars(outcome), "directory": str(outcome.directory), "first": first}
pathlib.Path(sys.argv[1] + ".json").write_text(json.dumps(fields))
"""
NODES = "#SBATCH --job-name=demo --nodes=2 --ntasks-per-node=1 --cpus-per-task=2\n"


@dataclass(frozen=True)
class Done:
    """A simulation that has ended."""

    stdout: str
    stderr: str
    outcome: dict[str, Any]


class Running:
    """A simulation that goes on."""

    def __init__(
        self,
        directory: Path,
        body: str,
        *,
        directives: str = NODES,
        variables: Mapping[str, str] | None = None,
        gpus: list[str] | None = None,
        trouble: Mapping[str, Any] | None = None,
    ) -> None:
        self.script = directory / "job.sh"
        self.script.write_text(f"#!/bin/bash\n{directives}{body}\n")
        self.scratch = directory / "scratch"
        self.scratch.mkdir(exist_ok=True)
        given = (gpus or [], dict(trouble or {}))
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.script), *map(json.dumps, given)],
            cwd=directory,
            env={**os.environ, "TMPDIR": str(self.scratch), **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, seconds: float = 60) -> Done:
        stdout, stderr = self.process.communicate(timeout=seconds)
        record = Path(f"{self.script}.json")
        return Done(stdout, stderr, json.loads(record.read_text()) if record.exists() else {})


def simulate(directory: Path, body: str, **options: Any) -> Done:
    """Run a script to its end."""
    return Running(directory, body, **options).wait()


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def processes_of(directory: Path) -> list[str]:
    """The command lines of all processes whose environment names this directory."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                if os.fsencode(str(directory)) in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().decode().replace("\0", " "))
            except OSError:
                continue
    return found
