"""A job's logs as they grow, until the job has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

from slurmkit.launch.job import Job
from slurmkit.launch.registry import Entry
from slurmkit.launch.rundir import RunDirectory
from slurmkit.observe.logs.elsewhere import ForeignJobError, NoLogsError, located
from slurmkit.observe.logs.merging import Keep, merge
from slurmkit.observe.logs.sources import Sources
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.states import State, read_state

Say = Callable[[str], object]

_SHORTEST, _LONGEST = 0.1, 1.0  # seconds between two looks at the files
_SOON, _RARELY = 1.0, 20.0  # seconds between two questions to Slurm
_AWAY = 600.0  # seconds for which a controller that is away is borne with
_PATIENCE = 30.0  # seconds after the end, in which something may still write
_SETTLE = 1.0  # seconds after the end, in which last lines still come from the nodes


def located_soon(entry: Entry, say: Say) -> Entry:
    """Return the entry with its run directory, for which the job may have to start first."""
    waiting, pause = None, 2 * _SOON
    while True:
        try:
            return located(entry)
        except ForeignJobError:
            raise
        except NoLogsError:
            state = Job(entry).state()
            if state.is_final:
                raise
            if state != waiting:
                say(f"job {entry.id} is {state}: {state.words}")
            waiting = state
            time.sleep(pause)
            pause = min(pause * 1.2, _RARELY / 2)


class Watch(threading.Thread):
    """Asks for a job's state, now and then; apart, because Slurm may take long to answer."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(daemon=True)
        self.state: State | None = None
        self.error: SlurmError | None = None
        """Why the state is not known, once there is no hope."""
        self._job = Job(entry)
        self._nudge = threading.Event()

    def nudge(self) -> None:
        """Ask soon: something has happened."""
        self._nudge.set()

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.error is not None or (self.state is not None and self.state.is_final)

    def answer(self) -> State:
        """Return the last state that was heard of; raise what kept us from hearing of one."""
        if self.error is not None:
            raise self.error
        return self.state or read_state("")

    def run(self) -> None:
        """Ask until the job has ended."""
        pause, heard = _SOON, time.monotonic()
        while True:
            try:
                state = self._job.state()
            except SlurmError as error:
                never = self.state is None and "knows no job" in error.what
                if never or time.monotonic() - heard > _AWAY:
                    self.error = error
                    return
            except (ValueError, RuntimeError, OSError) as error:  # of another way of running
                self.error = SlurmError(str(error))
                return
            else:
                heard = time.monotonic()
                pause = pause if state == self.state else _SOON
                self.state = state
                if state.is_final:
                    return
            if self._nudge.wait(pause):
                self._nudge.clear()
                pause = _SOON
                time.sleep(_SOON)
            pause = min(pause * 1.5, _RARELY)


class Attempts:
    """What the scripts say of themselves: whether an attempt begins, or ends."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._seen: dict[Path, int] = {}

    def look(self, runs: list[RunDirectory], *, quietly: bool) -> bool:
        """Read what is new, tell of new attempts; return whether there was anything."""
        news = False
        for run in runs:
            path = run.events / "batch.jsonl"
            try:
                size = path.stat().st_size
            except OSError:
                continue
            if size == self._seen.get(path, 0):
                continue
            news = True
            before = self._seen.get(path, 0)
            self._seen[path] = size
            if not quietly:
                with path.open(encoding="utf-8", errors="replace") as file:
                    file.seek(before)
                    self._tell(run, file.read(size - before))
        return news

    def _tell(self, run: RunDirectory, text: str) -> None:
        from json import loads

        for line in text.splitlines():
            try:
                event = loads(line)
                kind, attempt = event["event"], event["attempt"]
            except (ValueError, KeyError, TypeError):
                continue
            if kind == "requeued":
                self._say(f"job {run.path.name}: requeued; it waits for its next run")
            elif kind == "started" and attempt:
                self._say(f"job {run.path.name}: attempt {attempt} begins")


def grow(
    entry: Entry, sources: Sources, keep: Keep | None, say: Say
) -> Generator[list[bytes], None, State]:
    """Give lines as they come, and return the job's last state in the end.

    Raises:
        SlurmError: Slurm does not know this job, or could not be reached for ten minutes.
    """
    watch, attempts = Watch(entry), Attempts(say)
    watch.start()
    pause, waiting, ended_at = _SHORTEST, "", None
    first = True
    while True:
        start = time.monotonic()
        over = watch.is_over
        files = sources.look()
        if attempts.look(sources.runs(), quietly=first):
            watch.nudge()
        last = over and ended_at is not None and start - ended_at > _SETTLE
        moved = False
        for lines in merge(files, labelled=len(files) > 1, partial=last, keep=keep):
            moved = True
            yield lines
        first = False
        if over and ended_at is None:
            ended_at = start
        if last and (not moved or start - (ended_at or start) > _PATIENCE):
            break
        if watch.state is not None and not files and str(watch.state) != waiting and not over:
            waiting = str(watch.state)
            say(f"job {entry.id} is {waiting}: {watch.state.words}")
        pause = _SHORTEST if moved else min(pause * 1.5, _LONGEST)
        # Thousands of files: no more than a fifth of the time goes into looking at them.
        time.sleep(max(pause, 4 * (time.monotonic() - start) if not moved else 0))
    return watch.answer()
