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

from slurmkit.launch.simulate.nodes import Task, node_name, spread
from slurmkit.launch.simulate.output import Sink, Stream
from slurmkit.launch.simulate.processes import adopt_orphans, find_processes, send
from slurmkit.launch.simulate.variables import gpu_variables, step_variables, task_variables
from slurmkit.launch.simulate.wakeup import read_signals, signals_in_pipe

if TYPE_CHECKING:
    from slurmkit.launch.simulate.cluster import Cluster, Job
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

    def __init__(self, cluster: Cluster, job: Job, options: Options) -> None:
        self._cluster = cluster
        self._job = job
        self._options = options
        self._number = cluster.next_step()
        self._tasks = spread(options.nodes, options.tasks)
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
            while self._running or self._streams or len(self._swept) < len(self._options.nodes):
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
            **step_variables(self._number, self._tasks, self._options.cpus_per_task),
        }
        inputs: list[int] = []
        for task in self._tasks:
            gpus = gpu_variables(self._job.gpus[task.node] if self._options.gpus else [])
            variables = {**common, **gpus, **task_variables(task, self._tasks)}
            for sink, output in zip(sinks, self._start(task, variables, inputs), strict=True):
                stream = Stream(output, sink, sink.label(node_name(task.node), task.node))
                self._streams[stream] = task.node
                self._selector.register(output, selectors.EVENT_READ, stream)
        if _has_input():
            threading.Thread(target=_feed, args=(inputs,), daemon=True).start()
        else:
            for descriptor in inputs:
                os.close(descriptor)

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
            _say(f"error: execve(): {command[0]}: {error.strerror}", "slurmstepd")
            self._task_ended(task, 2)  # as of slurmstepd, for a program that is not there
        finally:
            for descriptor in (theirs, out, err):
                os.close(descriptor)
        return output, errors

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
            _say("forcing job termination")
            if self._cluster.state() == "RUNNING":  # a job that ends has its grace from slurmd
                self._signal(signal.SIGKILL)
        elif number == signal.SIGINT and time.monotonic() - self._interrupted_at < _TWICE:
            _say(f"sending Ctrl-C to StepId={self._name}")
            self._signal(signal.SIGINT)
            self._abort()
        elif number == signal.SIGINT:
            self._interrupted_at = time.monotonic()
            _say("interrupt (one more within 1 sec to abort)")

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
            how = f"Exited with exit code {code}" if code > 0 else signal.strsignal(-code)
            _say(f"error: {node_name(task.node)}: task {task.rank}: {how}")
            self._code = max(self._code, code if code > 0 else 128 - code)
            if self._options.kill_on_bad_exit:
                self._abort()
        if not any(other.node == task.node for other in self._running):
            self._node_ended[task.node] = time.monotonic()

    def _abort(self) -> None:
        """End the step: SIGTERM to all of it, SIGKILL to what is left a while later."""
        if self._aborted:
            return
        self._aborted = True
        if self._running:
            when = datetime.now().isoformat(timespec="seconds")
            _say(f"Terminating StepId={self._name}")
            where = node_name(self._options.nodes[0])
            _say(f"error: *** STEP {self._name} ON {where} CANCELLED AT {when} ***", "slurmstepd")
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


def _say(text: str, program: str = "srun") -> None:
    print(f"{program}: {text}", file=sys.stderr, flush=True)
