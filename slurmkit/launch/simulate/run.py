"""Simulate one batch script: from its text to how the job ended and where it wrote."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.launch.rundir import RunDirectory
from slurmkit.launch.simulate.allocation import Allocation, read_allocation
from slurmkit.launch.simulate.batch import Batch, Ended
from slurmkit.launch.simulate.cluster import Cluster, Job
from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.launch.simulate.failures import First, first_failure
from slurmkit.launch.simulate.jobid import held_job_id
from slurmkit.launch.simulate.say import say
from slurmkit.launch.simulate.standins import work_directory, write_standins
from slurmkit.launch.simulate.variables import batch_variables, cleared
from slurmkit.launch.simulate.wakeup import CANCELLING, signals_in_pipe
from slurmkit.launch.simulate.warden import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurmkit.launch.simulate.machine import Machine
    from slurmkit.launch.simulate.trouble import Trouble

_STATES = {  # of a job that did not end by itself
    **{"cancel": "CANCELLED", "interrupt": "CANCELLED", "time limit": "TIMEOUT"},
    **{"node failure": "NODE_FAIL", "preemption": "PREEMPTED"},
}
_REQUEUED_BY_SLURM = ("node failure", "preemption")
_NO_LIMIT = 365 * 86400  # Slurm, too, gives a job without a limit an end a year away


@dataclass(frozen=True)
class Outcome:
    """How a simulated job ended."""

    job_id: int
    state: str
    """COMPLETED, FAILED, TIMEOUT, CANCELLED, NODE_FAIL or PREEMPTED, in Slurm's words."""
    code: int
    """The script's exit code."""
    seconds: float
    directory: Path | None
    """The run directory, if the script came so far as to make it."""
    restarts: int = 0
    """How often it was requeued."""
    first: First | None = None
    """The first rank that failed, in a job that FAILED."""
    task: int | None = None
    """The number of an array task."""
    tasks: tuple[Outcome, ...] = ()
    """How the tasks of an array ended, as far as they ran."""


def simulate(  # noqa: PLR0913  all but the first by name
    script: str,
    *,
    machine: Machine,
    port_of: Callable[[int], int],
    trouble: Trouble,
    begun: Callable[[int], object] = lambda _: None,
    array: int = 0,
    task: int | None = None,
) -> Outcome:
    """Run a batch script, or a task of a job array, over pretend nodes on this machine.

    Args:
        script: the text, as sbatch would get it; its #SBATCH lines say what is allocated.
        machine: whose GPUs the nodes share.
        port_of: the port at which the processes of a job with this id meet.
        trouble: what goes wrong.
        begun: called with the job's id before the script starts.
        array: the id of the array that a task belongs to; 0 for its first task, which gives it.
        task: the task's number; None for a script that is no array.

    Raises:
        SimulationError: no free port, no start directory, or no leave to run anything here.
    """
    allocation = read_allocation(script)
    start_directory = Path(allocation.directory or ".").absolute()
    if not start_directory.is_dir():
        raise SimulationError(f"sbatch.chdir: no directory {start_directory}; make it first")
    cluster = Cluster(work_directory())
    started = time.monotonic()
    with (
        guarded(cluster, cleared(os.environ)),
        held_job_id(
            port_of, lambda number: bool(_run_directories(start_directory, str(number)))
        ) as job_id,
    ):
        cluster.create()
        begun(job_id)
        (cluster.directory / "slurm_script").write_text(script, encoding="utf-8")
        array = array or job_id
        request = _Request(allocation, machine, job_id, start_directory, trouble, array, task)
        ended, restarts = _run_until_done(cluster, request)
        name = str(job_id) if task is None else f"{array}_{task}"
        directory = next(iter(_run_directories(start_directory, name)), None)
        state = _state(ended)
        first = first_failure(cluster, directory) if state == "FAILED" else None
        seconds = time.monotonic() - started
        outcome = Outcome(job_id, state, ended.code, seconds, directory, restarts, first, task)
        _write_down(outcome, cluster)
    return outcome


def _write_down(outcome: Outcome, cluster: Cluster) -> None:
    """Leave in the run directory how it ended and what the script said, for those who ask later."""
    if outcome.directory is None:
        return
    with suppress(OSError):
        shutil.copyfile(cluster.output, RunDirectory(outcome.directory).own_output)
    told = {"time": int(time.time()), "event": "ended", "state": outcome.state}
    more = {"code": outcome.code, "first": outcome.first and outcome.first.text}
    with suppress(OSError):
        path = outcome.directory / "events" / "simulation.jsonl"
        path.write_text(json.dumps({**told, **more}) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Request:
    """What is run."""

    allocation: Allocation
    machine: Machine
    job_id: int
    directory: Path
    trouble: Trouble
    array: int
    task: int | None


def _run_until_done(cluster: Cluster, request: _Request) -> tuple[Ended, int]:
    """Run the script, again and again while it is requeued; return also how often it was."""
    standins = write_standins(cluster)
    # What this process was started to ignore (nohup), it goes on ignoring.
    heeded = [number for number in CANCELLING if signal.getsignal(number) != signal.SIG_IGN]
    requests = os.open(cluster.requests, os.O_RDWR | os.O_CLOEXEC)
    command = ["bash", str(cluster.directory / "slurm_script")]
    restarts = 0
    with signals_in_pipe((signal.SIGCHLD, *heeded)) as signals:
        while True:
            cluster.start_over()
            job, batch = _next_run(cluster, request, restarts)
            environment = {
                **cleared(os.environ),
                **standins,
                **batch_variables(job, request.allocation, str(Path.cwd()), restarts),
                **cluster.marker,
            }
            ended = batch.run(command, environment, str(request.directory), signals, requests)
            if not _runs_again(ended, request.allocation):
                os.close(requests)
                return ended, restarts
            restarts += 1
            appends = request.allocation.appends
            log = "" if appends else "; without --open-mode=append its log starts anew"
            say(f"requeued: run {restarts + 1} of the script{log}")


def _runs_again(ended: Ended, allocation: Allocation) -> bool:
    """Tell whether a job comes back: because the script said so, or of Slurm's own accord."""
    by_slurm = ended.reason in _REQUEUED_BY_SLURM and allocation.requeue
    return by_slurm or ended.reason == "requeue"


def _job(request: _Request) -> Job:
    now = int(time.time())
    allocation, machine = request.allocation, request.machine
    share = allocation.gpus_per_node
    return Job(
        id=request.job_id,
        name=allocation.name,
        nodes=allocation.nodes,
        cpus=allocation.cpus_of_nodes,
        gpus=[machine.gpus[node * share : (node + 1) * share] for node in range(allocation.nodes)],
        start=now,
        end=now + (allocation.seconds or _NO_LIMIT),
        array=request.array,
        task=request.task,
    )


def _next_run(cluster: Cluster, request: _Request, restarts: int) -> tuple[Job, Batch]:
    """Return a run of the script: the job with its end, and what happens in it.

    A rehearsed signal moves the time limit, so that the signal comes as long before it as the
    script asked.
    """
    job = _job(request)
    strikes = request.trouble.of_run(restarts)
    warning = request.allocation.warning
    near = next((strike for strike in strikes if strike.kind == "signal"), None)
    if warning and near:
        strikes.remove(near)
        warning = replace(warning, signal=near.signal, rehearsed=True)
        job = replace(job, end=job.start + near.after + warning.lead)
    cluster.write_job(job)
    return job, Batch(cluster, job, warning, strikes, request.trouble.grace)


def _run_directories(directory: Path, job_id: str) -> list[Path]:
    return list(directory.glob(f"runs/*/{job_id}"))


def _state(ended: Ended) -> str:
    return _STATES.get(ended.reason or "", "FAILED" if ended.code else "COMPLETED")
