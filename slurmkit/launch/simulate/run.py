"""Simulate one batch script: from its text to how the job ended and where it wrote."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.allocation import Allocation, read_allocation
from slurmkit.launch.simulate.batch import CANCELLING, Batch, Ended, say
from slurmkit.launch.simulate.cluster import Cluster, Job
from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.launch.simulate.jobid import held_job_id
from slurmkit.launch.simulate.standins import work_directory, write_standins
from slurmkit.launch.simulate.variables import batch_variables, cleared
from slurmkit.launch.simulate.wakeup import signals_in_pipe
from slurmkit.launch.simulate.warden import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurmkit.launch.simulate.machine import Machine

_NO_LIMIT = 365 * 86400  # Slurm, too, gives a job without a limit an end a year away


@dataclass(frozen=True)
class Outcome:
    """How a simulated job ended."""

    job_id: int
    state: str
    """COMPLETED, FAILED, TIMEOUT or CANCELLED, in Slurm's words."""
    code: int
    """The script's exit code."""
    seconds: float
    directory: Path | None
    """The run directory, if the script came so far as to make it."""


def simulate(script: str, *, machine: Machine, port_of: Callable[[int], int]) -> Outcome:
    """Run a batch script over pretend nodes on this machine, to its end.

    Args:
        script: the text, as sbatch would get it; its #SBATCH lines say what is allocated.
        machine: whose GPUs the nodes share.
        port_of: the port at which the processes of a job with this id meet.

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
            port_of, lambda number: bool(_run_directories(start_directory, number))
        ) as job_id,
    ):
        cluster.create()
        (cluster.directory / "slurm_script").write_text(script, encoding="utf-8")
        ended = _run_until_done(cluster, allocation, machine, job_id, start_directory)
    return Outcome(
        job_id,
        _state(ended),
        ended.code,
        time.monotonic() - started,
        next(iter(_run_directories(start_directory, job_id)), None),
    )


def _run_until_done(
    cluster: Cluster, allocation: Allocation, machine: Machine, job_id: int, directory: Path
) -> Ended:
    """Run the script, again and again while it is requeued."""
    standins = write_standins(cluster)
    # What this process was started to ignore (nohup), it goes on ignoring.
    heeded = [number for number in CANCELLING if signal.getsignal(number) != signal.SIG_IGN]
    requests = os.open(cluster.requests, os.O_RDWR | os.O_CLOEXEC)
    restarts = 0
    with signals_in_pipe((signal.SIGCHLD, *heeded)) as signals:
        while True:
            job = _job(allocation, machine, job_id)
            cluster.write_job(job)
            cluster.forget_steps()
            environment = {
                **cleared(os.environ),
                **standins,
                **batch_variables(job, allocation, str(Path.cwd()), restarts),
                **cluster.marker,
            }
            command = ["bash", str(cluster.directory / "slurm_script")]
            batch = Batch(cluster, job, allocation.warning)
            ended = batch.run(command, environment, str(directory), signals, requests)
            if ended.reason != "requeue":
                os.close(requests)
                return ended
            restarts += 1
            say(f"requeued: run {restarts + 1} of the script")


def _job(allocation: Allocation, machine: Machine, job_id: int) -> Job:
    now = int(time.time())
    share = allocation.gpus_per_node
    return Job(
        id=job_id,
        name=allocation.name,
        nodes=allocation.nodes,
        cpus_per_node=allocation.cpus_per_node,
        tasks_per_node=allocation.tasks_per_node,
        gpus=[machine.gpus[node * share : (node + 1) * share] for node in range(allocation.nodes)],
        start=now,
        end=now + (allocation.seconds or _NO_LIMIT),
    )


def _run_directories(directory: Path, job_id: int) -> list[Path]:
    return list(directory.glob(f"runs/*/{job_id}"))


def _state(ended: Ended) -> str:
    if ended.reason in ("cancel", "interrupt"):
        return "CANCELLED"
    if ended.reason == "time limit":
        return "TIMEOUT"
    return "FAILED" if ended.code else "COMPLETED"
