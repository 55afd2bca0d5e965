"""The directory through which the simulation and its stand-ins know of each other.

job.json    what was allocated
state       RUNNING or COMPLETING, as squeue would say
steps/N     a file a step, so that each gets a number of its own; locked while it holds its CPUs
lost/N      a file for each node that died
output      what the script printed, less the lines of its ranks
failures    lines of JSON: tasks and ranks that failed, in the order in which it was seen
quiet       is there when nobody wants to read why the rest fails
requests    a pipe to the simulation: lines `requeue`, `cancel`
bin/        the stand-ins
"""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from slurmkit.launch.simulate.processes import MARKER


@dataclass(frozen=True)
class Job:
    """What was allocated."""

    id: int
    name: str
    nodes: int
    cpus: list[int]
    """The CPUs of each node."""
    gpus: list[list[str]]
    """The GPUs of each node by the names that CUDA_VISIBLE_DEVICES takes; none: empty lists."""
    start: int
    end: int
    """When it began and when its time is up, in seconds of the epoch."""
    array: int = 0
    """The id of the job array that it belongs to."""
    task: int | None = None
    """Its number in the array; None for a job of its own."""

    @property
    def full_id(self) -> str:
        """The id in Slurm's words: 123, or 123_4 for an array task."""
        return str(self.id) if self.task is None else f"{self.array}_{self.task}"


@dataclass(frozen=True)
class Cluster:
    """One simulation's directory."""

    directory: Path

    @classmethod
    def here(cls) -> Cluster:
        """Return the simulation that this process belongs to."""
        directory = os.environ.get(MARKER)
        if not directory:
            fail(
                "slurmkit simulate",
                f"no {MARKER} in the environment: this stand-in of Slurm's "
                "works inside a simulation only; let the program hand its environment on",
            )
        return cls(Path(directory))

    @property
    def marker(self) -> dict[str, str]:
        """The variable that every process of this simulation carries."""
        return {MARKER: str(self.directory)}

    @property
    def programs(self) -> Path:
        """Where the stand-ins are."""
        return self.directory / "bin"

    @property
    def requests(self) -> Path:
        """The pipe to the simulation."""
        return self.directory / "requests"

    @property
    def steps_directory(self) -> Path:
        """Where each step has a file."""
        return self.directory / "steps"

    @property
    def failures(self) -> Path:
        """Where failures are noted."""
        return self.directory / "failures"

    @property
    def output(self) -> Path:
        """Where the script's output is kept."""
        return self.directory / "output"

    def create(self) -> None:
        """Make what stands in the directory from the beginning."""
        os.mkfifo(self.requests)
        self.steps_directory.mkdir()
        (self.directory / "lost").mkdir()
        self.programs.mkdir()

    def write_job(self, job: Job) -> None:
        """Make the allocation known to the stand-ins."""
        self._write("job.json", json.dumps(asdict(job)))

    def job(self) -> Job:
        """Return the allocation."""
        return Job(**json.loads((self.directory / "job.json").read_text(encoding="utf-8")))

    def state(self) -> str:
        """Return the job's state in squeue's words."""
        return (self.directory / "state").read_text(encoding="utf-8")

    def set_state(self, state: str) -> None:
        """Set the job's state."""
        self._write("state", state)

    def request(self, text: str) -> None:
        """Ask the simulation for something; one that has just ended is not waited for."""
        try:
            pipe = os.open(self.requests, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads
                raise
            return
        try:
            os.write(pipe, f"{text}\n".encode())
        finally:
            os.close(pipe)

    def next_step(self) -> int:
        """Take the number of a new step."""
        number = 0
        while True:
            try:
                (self.steps_directory / str(number)).touch(exist_ok=False)
            except FileExistsError:
                number += 1
            else:
                return number

    def steps(self) -> list[str]:
        """Return the numbers of the steps so far."""
        return [step.name for step in self.steps_directory.iterdir()]

    def start_over(self) -> None:
        """Forget the steps, the nodes that died and what failed, for a run of the script."""
        self.failures.unlink(missing_ok=True)
        for name in ("steps", "lost"):
            for file in (self.directory / name).iterdir():
                file.unlink()

    def lose(self, node: int) -> None:
        """Note that a node has died."""
        (self.directory / "lost" / str(node)).touch()

    def is_lost(self, node: int) -> bool:
        """Tell whether a node has died."""
        return (self.directory / "lost" / str(node)).exists()

    def hush(self) -> None:
        """From now on, let nobody tell what else goes wrong: the job is being interrupted."""
        (self.directory / "quiet").touch()

    def is_quiet(self) -> bool:
        """Tell whether errors are of no interest any more."""
        return (self.directory / "quiet").exists()

    def _write(self, name: str, text: str) -> None:
        part = self.directory / f".{name}.{os.getpid()}"
        part.write_text(text, encoding="utf-8")
        part.replace(self.directory / name)


def fail(program: str, text: str) -> NoReturn:
    """End a stand-in with an error in the manner of Slurm's commands."""
    print(f"{program}: error: {text}", file=sys.stderr)
    sys.exit(1)
