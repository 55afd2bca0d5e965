"""Runs the script of a job that only checks: as a short job, in an allocation, or simulated."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from slurmkit.launch import registry
from slurmkit.launch.job import Job
from slurmkit.launch.rundir import RunDirectory, read_json
from slurmkit.launch.sbatch import check_here, run_directory, submit
from slurmkit.probe.report import Report
from slurmkit.render.script import render

if TYPE_CHECKING:
    from slurmkit.slurm.states import State
    from slurmkit.spec.model import JobSpec

_LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Ran:
    """Where a script has left its report, and what it said where it left none."""

    directory: Path | None
    said: str

    @property
    def report(self) -> Report | None:
        """What the checks came to; None where they did not come to an end."""
        told = read_json(self.directory / "preflight.json") if self.directory else None
        return Report.from_json(told) if isinstance(told, dict) else None

    @property
    def last_lines(self) -> list[str]:
        """The end of what it said."""
        return self.said.splitlines()[-_LAST_LINES:]


def as_job(spec: JobSpec, say: Callable[[str], None]) -> Ran:
    """Submit it, and wait for its end.

    Raises:
        SpecError, SlurmError: as of `slurmkit submit`.
        KeyboardInterrupt: the user no longer waits; the job is cancelled.
    """
    entry = submit(spec, script=render(spec, checks_only=True))
    registry.remember(entry)
    job, told = Job(entry), [""]
    say(f"job {entry.id} ({entry.name}) is in the queue")

    def watch(state: State) -> None:
        if not state.is_final and state.name != told[0]:
            told[0] = state.name
            say(f"job {entry.id} is {state}: {state.words}")

    try:
        state = job.wait(watch=watch)
    except KeyboardInterrupt:
        say(f"job {entry.id} is cancelled")
        job.cancel()
        raise
    if state.name not in ("COMPLETED", "FAILED"):
        say(f"job {entry.id} is {state}: {state.words}")
    run = RunDirectory(Path(entry.directory))
    try:
        said = run.output.read_text(encoding="utf-8", errors="replace")
    except OSError:
        said = ""
    return Ran(run.path, said or f"job {entry.id} is {state}: {state.words}")


def in_allocation(spec: JobSpec) -> Ran:
    """Run it on the nodes of the allocation that this process is in.

    Raises:
        SpecError: something of the job is missing here.
    """
    check_here(spec, os.environ)
    script = render(spec, checks_only=True)
    start = Path(spec.sbatch.get("chdir", ".")).expanduser()
    directory = run_directory(spec, os.environ["SLURM_JOB_ID"])
    (directory / "preflight.json").unlink(missing_ok=True)  # of an earlier run in this allocation
    with tempfile.TemporaryFile() as output:
        subprocess.run(
            ["bash"], check=False, input=script.encode(), stdout=output, stderr=output, cwd=start
        )
        return Ran(directory, _text(output))


def simulated(spec: JobSpec, nodes: int | None, processes_per_node: int | None) -> Ran:
    """Run it over pretend nodes on this machine.

    Raises:
        SpecError, SimulationError: as of `slurmkit simulate`.
    """
    from slurmkit.launch.simulate.job import simulate_job

    with tempfile.TemporaryFile() as output, _stdout_to(output):
        outcome = simulate_job(
            spec, nodes=nodes, processes_per_node=processes_per_node, checks_only=True
        )
        return Ran(outcome.directory, _text(output))


@contextmanager
def _stdout_to(file: IO[bytes]) -> Iterator[None]:
    """Have what processes write to standard output go to a file."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
