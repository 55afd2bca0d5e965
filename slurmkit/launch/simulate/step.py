"""One job step: its tasks, what they write, the signals that reach them, and how it ends."""

from __future__ import annotations

import os
import selectors
import signal
import stat
import subprocess
import sys
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.failures import Failure, RootCause, note
from slurmkit.launch.simulate.nodes import Task, node_name
from slurmkit.launch.simulate.output import Sink, Stream
from slurmkit.launch.simulate.processes import adopt_orphans, find_processes, send
from slurmkit.launch.simulate.variables import step_gpus, step_variables, task_variables
from slurmkit.launch.simulate.wakeup import read_signals, signals_in_pipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurmkit.launch.simulate.cluster import Cluster, Job
    from slurmkit.launch.simulate.placing import Placed
    from slurmkit.launch.simulate.srun_options import Options

KILL_WAIT = 5.0
"""Seconds from SIGTERM to SIGKILL, Slurm's KillWait."""

_FORWARDED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
_FORCING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_OWN = (signal.SIGCHLD, signal.SIGINT, signal.SIGCONT)
_LAST_WORDS = 1.0  # seconds for what a task leaves behind to write what it holds
_TWICE = 1.0  # seconds between two SIGINTs that mean it


class Step:
    """The tasks of one srun."""

    def __init__(
        self, cluster: Cluster, job: Job, options: Options, number: int, placed: Placed
    ) -> None:
        self._cluster = cluster
        self._job = job
        self._options = options
        self._number = number
        self._placed = placed
        self._running: dict[Task, subprocess.Popen[bytes]] = {}
        self._selector = selectors.DefaultSelector()
        self._streams: dict[Stream, int] = {}
        self._node_ended: dict[int, float] = {}
        self._swept: set[int] = set()
        self._kill_at: float | None = None
        self._aborted = False
        self._interrupted_at = -_TWICE
        self._code = 0

    @property
    def _marker(self) -> dict[str, str]:
        return {**self._cluster.marker, "SLURM_STEP_ID": str(self._number)}

    def run(self) -> int:
        """Run the tasks to their end; return srun's exit code: the highest of theirs."""
        adopt_orphans()
        with signals_in_pipe((*_OWN, *_FORWARDED, *_FORCING)) as signals, self._selector:
            self._selector.register(signals, selectors.EVENT_READ)
            self._start_tasks()
            while self._running or self._streams or len(self._swept) < len(self._placed.nodes):
                for key, _ in self._selector.select(self._patience()):
                    if isinstance(key.data, Stream):
                        self._pass_on(key.data)
                for number in read_signals(signals):
                    self._handle(number)
                self._reap()
                self._keep_time()
        return self._code

    def _start_tasks(self) -> None:
        sinks = (Sink(1), Sink(2))
        common = {
            **os.environ,
            **step_variables(self._number, self._placed.tasks, self._options),
        }
        inputs: list[int] = []
        for task in self._placed.tasks:
            gpus = step_gpus(self._job.gpus[task.node] if self._options.gpus else [])
            own = task_variables(task, self._placed.tasks, self._placed.cpus[task.node])
            output, errors = self._start(task, {**common, **gpus, **own}, inputs)
            labels = [sink.label(node_name(task.node), task.node) for sink in sinks]
            self._listen(task, Stream(output, sinks[0], labels[0]))
            reader = self._reader_of_errors(task)
            self._listen(task, Stream(errors, sinks[1], labels[1], reader))
        if _has_input():
            threading.Thread(target=_feed, args=(inputs,), daemon=True).start()
        else:
            for descriptor in inputs:
                os.close(descriptor)

    def _listen(self, task: Task, stream: Stream) -> None:
        self._streams[stream] = task.node
        self._selector.register(stream.descriptor, selectors.EVENT_READ, stream)

    def _start(self, task: Task, variables: dict[str, str], inputs: list[int]) -> tuple[int, int]:
        """Start a task; return where its output and errors can be read."""
        theirs, ours = os.pipe()
        inputs.append(ours)
        (output, out), (errors, err) = os.pipe(), os.pipe()
        command = self._options.command
        try:
            self._running[task] = subprocess.Popen(
                command,
                stdin=theirs,
                stdout=out,
                stderr=err,
                env=variables,
                cwd=self._options.directory,
                start_new_session=True,
            )
        except OSError as error:
            self._say(f"error: execve(): {command[0]}: {error.strerror}", "slurmstepd")
            self._task_ended(task, 2)  # as of slurmstepd, for a program that is not there
        finally:
            for descriptor in (theirs, out, err):
                os.close(descriptor)
        return output, errors

    def _reader_of_errors(self, task: Task) -> Callable[[bytes], bool]:
        """Return what looks at each line of a task's standard error before it is passed on."""
        cause = RootCause(self._cluster, self._number, task, len(self._placed.tasks))

        def read(line: bytes) -> bool:
            cause.read(line)
            return not self._cluster.is_quiet()

        return read

    def _pass_on(self, stream: Stream) -> None:
        try:
            if stream.pass_on():
                return
        except BrokenPipeError:  # nobody reads us any more
            self._signal(signal.SIGKILL)
        self._close(stream)

    def _close(self, stream: Stream) -> None:
        self._selector.unregister(stream.descriptor)
        os.close(stream.descriptor)
        del self._streams[stream]

    def _handle(self, number: int) -> None:
        """Do what srun does on a signal (Slurm's src/srun/libsrun/srun_job.c)."""
        if number in _FORWARDED:
            self._signal(number)
        elif number in _FORCING:
            self._say("forcing job termination")
            if self._cluster.state() == "RUNNING":  # a job that ends has its grace from slurmd
                self._signal(signal.SIGKILL)
        elif number == signal.SIGINT and time.monotonic() - self._interrupted_at < _TWICE:
            self._say(f"sending Ctrl-C to StepId={self._name}")
            self._signal(signal.SIGINT)
            self._abort()
        elif number == signal.SIGINT:
            self._interrupted_at = time.monotonic()
            self._say("interrupt (one more within 1 sec to abort)")

    def _say(self, text: str, program: str = "srun") -> None:
        if not self._cluster.is_quiet():
            print(f"{program}: {text}", file=sys.stderr, flush=True)

    def _signal(self, number: int) -> None:
        send(find_processes(self._marker, adopted=True), number)

    @property
    def _name(self) -> str:
        return f"{self._job.id}.{self._number}"

    def _reap(self) -> None:
        for task, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[task]
                self._task_ended(task, code)

    def _task_ended(self, task: Task, code: int) -> None:
        if code:
            self._failed(task, code)
        if not any(other.node == task.node for other in self._running):
            self._node_ended[task.node] = time.monotonic()

    def _failed(self, task: Task, code: int) -> None:
        name, lost = node_name(task.node), self._cluster.is_lost(task.node)
        how = f"Exited with exit code {code}" if code > 0 else signal.strsignal(-code)
        self._say(
            f"error: Node failure on {name}" if lost else f"error: {name}: task {task.rank}: {how}"
        )
        self._code = max(self._code, code if code > 0 else 128 - code)
        if not (lost or self._aborted) and self._cluster.state() == "RUNNING":
            place = (self._number, task.node, task.rank, len(self._placed.tasks))
            note(self._cluster, Failure(*place, None, code, time.time()))
        if lost or self._options.kill_on_bad_exit:
            self._abort()

    def _abort(self) -> None:
        """End the step: SIGTERM to all of it, SIGKILL to what is left a while later."""
        if self._aborted:
            return
        self._aborted = True
        if self._running:
            when = datetime.now().isoformat(timespec="seconds")
            self._say(f"Terminating StepId={self._name}")
            where = node_name(self._placed.nodes[0])
            step = f"STEP {self._name} ON {where}"
            self._say(f"error: *** {step} CANCELLED AT {when} ***", "slurmstepd")
        self._signal(signal.SIGTERM)
        self._kill_at = time.monotonic() + KILL_WAIT

    def _keep_time(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._signal(signal.SIGKILL)
        for node, ended in self._node_ended.items():
            silent = node not in self._streams.values()
            if node not in self._swept and (silent or now >= ended + _LAST_WORDS):
                self._swept.add(node)
                self._sweep(node)
            if not silent and now >= ended + 2 * _LAST_WORDS:  # held by a process that hid itself
                for stream in [stream for stream, at in self._streams.items() if at == node]:
                    self._close(stream)

    def _sweep(self, node: int) -> None:
        """Kill what the tasks of a node have left behind, as slurmstepd does."""
        there = {**self._marker, "SLURMD_NODENAME": node_name(node)}
        send(find_processes(there, adopted=not self._running), signal.SIGKILL)

    def _patience(self) -> float | None:
        times = [self._kill_at] if self._kill_at is not None else []
        for node, ended in self._node_ended.items():
            if node not in self._swept:
                times.append(ended + _LAST_WORDS)
            elif node in self._streams.values():
                times.append(ended + 2 * _LAST_WORDS)
        return max(0.0, min(times) - time.monotonic()) if times else None


def _has_input() -> bool:
    """Tell whether our standard input is more than a terminal or /dev/null."""
    return not stat.S_ISCHR(os.fstat(0).st_mode)


def _feed(pipes: list[int]) -> None:
    """Copy our standard input to every task, as srun does."""
    while pipes and (data := os.read(0, 1 << 16)):
        for pipe in list(pipes):
            try:
                rest = data
                while rest:
                    rest = rest[os.write(pipe, rest) :]
            except BrokenPipeError:
                os.close(pipe)
                pipes.remove(pipe)
    for pipe in pipes:
        os.close(pipe)
