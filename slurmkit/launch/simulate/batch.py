"""Run a batch script as slurmctld and slurmd would: time limit, trouble, requeue, end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.nodes import node_name
from slurmkit.launch.simulate.processes import find_processes, kill_all, send
from slurmkit.launch.simulate.relay import COLOURS, Relay, coloured
from slurmkit.launch.simulate.say import say
from slurmkit.launch.simulate.step import KILL_WAIT
from slurmkit.launch.simulate.wakeup import CANCELLING, read_signals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slurmkit.launch.simulate.allocation import TimeWarning
    from slurmkit.launch.simulate.cluster import Cluster, Job
    from slurmkit.launch.simulate.trouble import Strike

_LAST_WORDS = 1.0  # seconds for what the script leaves behind to write what it holds


@dataclass(frozen=True)
class Ended:
    """How one run of the script ended."""

    code: int
    """The script's own exit code, 128+n where a signal ended it."""
    reason: str | None
    """What ended it, where it did not end by itself: requeue, cancel, interrupt, time limit,
    node failure or preemption."""


class Batch:
    """One run of the batch script."""

    def __init__(
        self,
        cluster: Cluster,
        job: Job,
        warning: TimeWarning | None,
        strikes: Sequence[Strike],
        grace: int,
    ) -> None:
        """Take what happens in this run.

        Args:
            cluster: the simulation.
            job: what was allocated.
            warning: the signal before the time limit.
            strikes: the trouble that is rehearsed, the first blow first.
            grace: seconds that a preempted job has.
        """
        self._cluster = cluster
        self._job = job
        self._warning = warning
        self._strikes = list(strikes)
        self._grace = grace
        self._preempted = False
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
        relay = Relay(self._cluster.output)
        out, err = relay.open()
        script = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**environment, COLOURS: coloured()},
            cwd=directory,
            start_new_session=True,
        )
        os.close(out)
        os.close(err)
        while script.poll() is None:
            ready, _, _ = select.select([signals, requests], [], [], self._patience())
            if requests in ready:
                self._obey(os.read(requests, 4096).decode().split())
            if signals in ready:
                self._interrupt(read_signals(signals))
            self._keep_time(script.pid)
        self._wait_for_rest(signals)
        relay.close()
        if self._warning and self._warning.rehearsed:
            say("--signal: was not sent, this run of the script had ended before")
        for strike in self._strikes:
            say(f"{strike}: did not strike, this run of the script had ended before")
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
                self._cluster.hush()
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
        while self._strikes and now >= self._job.start + self._strikes[0].after:
            self._strike(self._strikes.pop(0))
        if self._warning and now >= self._job.end - self._warning.lead:
            warning, self._warning = self._warning, None
            say(f"the time limit is near ({warning.lead} s): {warning.signal.name}")
            send([script] if warning.batch_only else self._step_processes(), warning.signal)
        if self._kill_at is None and now >= self._job.end:
            if self._preempted:
                say("the preempted job has outlived its grace time")
            else:
                say("the job has reached its time limit")
            self._end("preemption" if self._preempted else "time limit")
        if self._kill_at is not None and now >= self._kill_at:
            kill_all(self._cluster.marker)

    def _strike(self, strike: Strike) -> None:
        if strike.kind == "kill":
            say(f"{strike}: the node dies, and Slurm ends the job")
            self._cluster.lose(strike.node)
            kill_all({**self._cluster.marker, "SLURMD_NODENAME": node_name(strike.node)})
            self._end("node failure")
        elif strike.kind == "cancel":
            say(f"{strike}: the job is cancelled")
            self._end("cancel")
        elif strike.kind == "preempt":
            self._preempt(strike)
        else:
            say(f"{strike}: {strike.signal.name} to the steps; the script asks for no --signal")
            send(self._step_processes(), strike.signal)

    def _preempt(self, strike: Strike) -> None:
        """Do as PreemptMode=REQUEUE does: SIGTERM to the steps, the end after the grace time."""
        if not self._grace:
            say(f"{strike}: the job is preempted, without any grace time")
            self._end("preemption")
            return
        say(f"{strike}: the job is preempted: SIGTERM to its steps, the end in {self._grace} s")
        self._preempted = True
        self._warning = None
        self._job = replace(self._job, end=int(time.time()) + self._grace)
        self._cluster.write_job(self._job)
        processes = self._step_processes()
        send(processes, signal.SIGCONT)
        send(processes, signal.SIGTERM)

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
        times = [self._kill_at or self._job.end - (self._warning.lead if self._warning else 0)]
        if self._strikes:
            times.append(self._job.start + self._strikes[0].after)
        return min(max(0.0, min(times) - time.time()), 3600.0)
