"""The one handle of a job, whichever way it runs: submit, state, cancel, wait, result.

The work is done by four sibling modules with the same functions, `sbatch`, `submitit`, `ssh` and
`simulated`; which one is written in the job's entry in the list of jobs.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from slurmkit.launch import registry
from slurmkit.launch.failure import Failure, first_failure
from slurmkit.launch.registry import Entry
from slurmkit.launch.rundir import RunDirectory
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.states import State

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec, Via

_BACK_ENDS = {"sbatch": "sbatch", "submitit": "submitit", "ssh": "ssh", "simulate": "simulated"}
_SHORTEST, _LONGEST = 0.5, 15.0  # seconds between two looks at a job
_GROWTH = 1.15  # from one pause to the next: an end is seen late by a seventh of the job's time
_AWAY = 600.0  # seconds for which a waiting process bears with a controller that is away

AnyJob = TypeVar("AnyJob", bound="Job")


class BackEnd(Protocol):
    """What each way of running offers.

    Some have more: `result(entry)`, where it is not in result.json alone, and
    `remote_traceback(entry)`, where main runs in-process.
    """

    def submit(self, spec: JobSpec) -> Entry:
        """Get the job going, and return at once."""

    def state(self, entry: Entry) -> State:
        """Tell the state of a job."""

    def cancel(self, entry: Entry, signal: str | None = None) -> None:
        """End a job, or send it a signal such as USR1."""

    def results(self, entry: Entry) -> list[Any]:
        """Return what a job that has ended well gave: of each rank, or of each array task."""


class JobFailedError(RuntimeError):
    """The job has ended, and not well: its state, the first rank that failed, its last lines."""

    def __init__(self, job: Job, state: State) -> None:
        self.job, self.state = job, state
        run, self.failure = job._first_to_fail()
        named = f" ({job.name})" if job.name else ""
        text = f"job {job.id}{named} is {state}: {state.words}"
        text += _indented(job.remote_traceback()) or _told(self.failure)
        there = run or next((one for one in job.runs() if one.events.is_dir()), None)
        if there is not None:  # else it has never run
            rank = f" --rank {self.failure.rank}" if self.failure and self.failure.log else ""
            is_array = run is None and there.path != job.directory
            logs = there.path.with_name(f"{job.id}_TASK") / "logs" if is_array else there.logs
            text += f"\n    logs: {logs}"
            text += f"\n    see:  slurmkit logs {run.path.name if run else job.id}{rank}"
        super().__init__(text)


def _told(failure: Failure | None) -> str:
    if failure is None:
        return ""
    words = "\n    ".join(failure.last_words())
    log = f"; its log ends:\n    {words}" if words else ""
    return _indented(f"first to fail: {failure.text}{log}")


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in text.splitlines())


def back_end(via: str) -> BackEnd:
    """Return the module that does the work of one way of running."""
    if via not in _BACK_ENDS:
        raise ValueError(f"via={via!r}: choose one of {', '.join(_BACK_ENDS)}")
    return cast("BackEnd", importlib.import_module(f"slurmkit.launch.{_BACK_ENDS[via]}"))


class Job:
    """A job that was submitted: by this process, or by another one long ago."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._back_end = back_end(entry.via)

    @classmethod
    def submit(cls: type[AnyJob], spec: JobSpec, *, via: Via = "sbatch") -> AnyJob:
        """Submit a job and return at once.

        Raises:
            SpecError: the job cannot be run this way.
            SlurmError: Slurm refuses it, or cannot be reached.
        """
        entry = back_end(via).submit(spec)
        registry.remember(entry)
        return cls(entry)

    @classmethod
    def from_id(cls: type[AnyJob], id: str | int) -> AnyJob:
        """Return the job that an id, `123` or `123_4`, or a name stands for.

        Raises:
            UnknownJobError: no job, or more than one, has this name.
        """
        return cls(registry.find(str(id)))

    @classmethod
    def last(cls: type[AnyJob]) -> AnyJob:
        """Return the job that was submitted last.

        Raises:
            UnknownJobError: there is none.
        """
        return cls(registry.last())

    @property
    def id(self) -> str:
        """Slurm's id of the job, `123` or `123_4`."""
        return self.entry.id

    @property
    def name(self) -> str:
        """The job's name; empty for one that was not submitted from here."""
        return self.entry.name

    @property
    def directory(self) -> Path | None:
        """The run directory, which the job makes when it starts; None where it is not known."""
        return Path(self.entry.directory) if self.entry.directory else None

    @property
    def run(self) -> RunDirectory:
        """The run directory, to be read.

        Raises:
            UnknownJobError: slurmkit does not know where this job's files are.
        """
        if self.directory is None:
            raise registry.UnknownJobError(
                f"where the files of job {self.id} are is not known here"
            )
        return RunDirectory(self.directory)

    def runs(self) -> list[RunDirectory]:
        """Return the run directories: of an array those of its tasks that have started."""
        if self.directory is None:
            return []
        run = RunDirectory(self.directory)
        return run.tasks() or [run]

    def first_failure(self) -> Failure | None:
        """Return the first rank that failed, as well as the logs tell; None where they do not."""
        return self._first_to_fail()[1]

    def _first_to_fail(self) -> tuple[RunDirectory | None, Failure | None]:
        """Return it with its run directory, which of an array is that of a task."""
        found = ((run, first_failure(run)) for run in self.runs())
        return next(((run, failure) for run, failure in found if failure), (None, None))

    def remote_traceback(self) -> str:
        """Return what main raised in a job that ran in-process (submitit); else nothing."""
        ask = getattr(self._back_end, "remote_traceback", None)
        return str(ask(self.entry)) if ask else ""

    def state(self) -> State:
        """Ask for the job's state.

        Raises:
            SlurmError: Slurm cannot be reached, or knows no such job.
        """
        return self._back_end.state(self.entry)

    def cancel(self, signal: str | None = None) -> None:
        """End the job, or send it a signal, such as `USR1`."""
        self._back_end.cancel(self.entry, signal)

    def wait(
        self, timeout: float | None = None, *, watch: Callable[[State], object] | None = None
    ) -> State:
        """Wait until the job has ended, and return its last state.

        A requeued job has not ended. A controller that is away for a while is waited for.

        Args:
            timeout: seconds; without end when not given.
            watch: called with the state at each look.

        Raises:
            TimeoutError: the job has not ended in time; it goes on.
            SlurmError: Slurm could not be reached for ten minutes, or knows no such job.
        """
        end = None if timeout is None else time.monotonic() + timeout
        pause, heard = _SHORTEST, time.monotonic()
        while True:
            try:
                state = self.state()
                heard = time.monotonic()
            except SlurmError as error:
                if not error.passing or time.monotonic() - heard > _AWAY:
                    raise
            else:
                if watch is not None:
                    watch(state)
                if state.is_final:
                    return state
            if end is not None and time.monotonic() + pause > end:
                if time.monotonic() >= end:
                    raise TimeoutError(f"job {self.id} has not ended after {timeout:g} s")
                pause = max(end - time.monotonic(), 0)
            time.sleep(pause)
            pause = min(max(pause, _SHORTEST) * _GROWTH, _LONGEST)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, and return what rank 0's `main(config)` returned.

        Raises:
            JobFailedError: the job did not end well.
            TimeoutError: it has not ended in time.
            ValueError: it is an array, see `results`.
        """
        self._wait_for_success(timeout)
        if (ask := getattr(self._back_end, "result", None)) is not None:
            return ask(self.entry)
        if self.run.tasks():
            raise ValueError(f"job {self.id} is an array: results() returns those of its tasks")
        return self.run.result()

    def results(self, timeout: float | None = None) -> list[Any]:
        """Wait for the end, and return the results of every rank, or of every array task.

        Raises:
            JobFailedError: the job did not end well.
            TimeoutError: it has not ended in time.
        """
        self._wait_for_success(timeout)
        return self._back_end.results(self.entry)

    def _wait_for_success(self, timeout: float | None) -> None:
        state = self.wait(timeout)
        if state.phase != "good":
            raise JobFailedError(self, state)
