"""Run a batch script as slurmctld and slurmd would: time limit, cancel, requeue, end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.processes import find_processes, kill_all, send
from slurmkit.launch.simulate.step import KILL_WAIT
from slurmkit.launch.simulate.wakeup import read_signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slurmkit.launch.simulate.allocation import TimeWarning
    from slurmkit.launch.simulate.cluster import Cluster, Job

CANCELLING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals to the simulation that cancel the job; a second one kills it."""
_LAST_WORDS = 1.0  # seconds for what the script leaves behind to write what it holds


@dataclass(frozen=True)
class Ended:
    """How one run of the script ended."""

    code: int
    """The script's own exit code, 128+n where a signal ended it."""
    reason: str | None
    """requeue, cancel, time limit or interrupt, where it did not end by itself."""


class Batch:
    """One run of the batch script."""

    def __init__(self, cluster: Cluster, job: Job, warning: TimeWarning | None) -> None:
        self._cluster = cluster
        self._job = job
        self._warning = warning
        self._reason: str | None = None
        self._kill_at: float | None = None

    def run(
        self,
        command: list[str],
        environment: Mapping[str, str],
        directory: str,
        signals: int,
        requests: int,
    ) -> Ended:
        """Run the script and all that it starts to the end.

        Args:
            command: what runs the script.
            environment: its environment.
            directory: where it starts.
            signals: a pipe of the signals that come to the simulation.
            requests: the cluster's pipe of requests.
        """
        self._cluster.set_state("RUNNING")
        script = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=directory,
            start_new_session=True,
        )
        while script.poll() is None:
            ready, _, _ = select.select([signals, requests], [], [], self._patience())
            if requests in ready:
                self._obey(os.read(requests, 4096).decode().split())
            if signals in ready:
                self._interrupt(read_signals(signals))
            self._keep_time(script.pid)
        self._wait_for_rest(signals)
        code = script.returncode
        return Ended(code if code >= 0 else 128 - code, self._reason)

    def _obey(self, words: list[str]) -> None:
        if "requeue" in words:  # after a cancel, too: Slurm then runs the job again
            self._end("requeue")
        elif "cancel" in words:
            self._end("cancel")

    def _interrupt(self, numbers: list[int]) -> None:
        for number in numbers:
            if number not in CANCELLING:
                continue
            if self._reason == "interrupt":
                kill_all(self._cluster.marker)
            else:
                name = signal.Signals(number).name
                say(f"{name}: cancelling the job (SIGKILL in {KILL_WAIT:g} s, or with another)")
                self._end("interrupt")

    def _end(self, reason: str | None) -> None:
        """End the job: SIGCONT and SIGTERM to everything, SIGKILL a while later."""
        if self._reason != "interrupt":
            self._reason = reason or self._reason
        self._cluster.set_state("COMPLETING")
        everything = find_processes(self._cluster.marker)
        send(everything, signal.SIGCONT)
        send(everything, signal.SIGTERM)
        self._kill_at = self._kill_at or time.time() + KILL_WAIT

    def _keep_time(self, script: int) -> None:
        now = time.time()
        if self._warning and now >= self._job.end - self._warning.lead:
            warning, self._warning = self._warning, None
            say(f"the time limit is near: {warning.signal.name}")
            send([script] if warning.batch_only else self._step_processes(), warning.signal)
        if self._kill_at is None and now >= self._job.end:
            say("the job has reached its time limit")
            self._end("time limit")
        if self._kill_at is not None and now >= self._kill_at:
            kill_all(self._cluster.marker)

    def _step_processes(self) -> set[int]:
        marker = self._cluster.marker
        steps = ({**marker, "SLURM_STEP_ID": step} for step in self._cluster.steps())
        return {process for step in steps for process in find_processes(step)}

    def _wait_for_rest(self, signals: int) -> None:
        """The script is done: end what it leaves behind."""
        patience = time.time() + _LAST_WORDS
        while find_processes(self._cluster.marker):
            now = time.time()
            if self._kill_at is None and now >= patience:
                self._end(None)
            elif self._kill_at is not None and now >= self._kill_at:
                kill_all(self._cluster.marker)
                return
            self._interrupt(read_signals(signals))
            time.sleep(0.02)

    def _patience(self) -> float:
        if self._kill_at is not None:
            until = self._kill_at
        else:
            until = self._job.end - (self._warning.lead if self._warning else 0)
        return min(max(0.0, until - time.time()), 3600.0)


def say(text: str) -> None:
    """Tell the user something, on standard error."""
    print(f"simulate: {text}", file=sys.stderr, flush=True)
