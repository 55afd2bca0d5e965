"""Where a step's tasks go, and which CPUs it holds while it runs, as Slurm has it.

A step takes all CPUs of its nodes, or with --exact those of its tasks only, and waits while other
steps hold them; with --overlap it shares them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.nodes import Task, spread
from slurmkit.launch.simulate.srun_options import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slurmkit.launch.simulate.cluster import Cluster, Job
    from slurmkit.launch.simulate.srun_options import Options

_LOOK_AGAIN = 0.1  # seconds


@dataclass(frozen=True)
class Placed:
    """A step that can start."""

    tasks: list[Task]
    cpus: dict[int, int]
    """How many CPUs it has on each of its nodes."""

    @property
    def nodes(self) -> list[int]:
        """Its nodes."""
        return list(self.cpus)


def place(
    options: Options, total: Sequence[int], free: Sequence[int], job_id: int
) -> Placed | None:
    """Choose the nodes of a step and share out its tasks; None while the nodes are busy.

    Args:
        options: what srun was asked for.
        total: the job's CPUs on each node.
        free: those that no other step holds.
        job_id: the job, for errors.

    Raises:
        OptionError: the job does not have so many CPUs.
    """
    if _place(options, total, total) is None:
        raise OptionError(
            f"Unable to create step for job {job_id}: More processors requested than permitted"
        )
    return _place(options, total, total if options.overlap else free)


def _place(options: Options, total: Sequence[int], free: Sequence[int]) -> Placed | None:
    def room(node: int) -> int:
        """Return how many tasks can start there."""
        if not options.exact and free[node] < total[node]:
            return 0
        return free[node] // (options.cpus_per_task or 1)

    others = [node for node in range(len(total)) if room(node) and node not in options.named]
    nodes = sorted([*options.named, *others[: options.nodes - len(options.named)]])
    if len(nodes) < options.nodes:
        return None
    tasks = spread(nodes, options.tasks, [room(node) for node in nodes])
    if tasks is None:
        return None
    counts = {node: sum(task.node == node for task in tasks) for node in nodes}
    share = options.cpus_per_task or 1
    cpus = {node: counts[node] * share if options.exact else total[node] for node in nodes}
    return Placed(tasks, cpus)


@contextlib.contextmanager
def placed(cluster: Cluster, job: Job, options: Options) -> Iterator[tuple[int, Placed]]:
    """Wait for a step's CPUs, and hold them until the end of the block; give its number, too.

    The hold is a lock on a file a step, which the kernel lets go of when srun dies.

    Raises:
        OptionError: the job does not have so many CPUs.
    """
    waited = False
    while True:
        with _one_at_a_time(cluster):
            taken = place(options, job.cpus, _free(cluster, job), job.id)
            if taken is not None:
                number = cluster.next_step()
                hold = _hold(cluster, number, {} if options.overlap else taken.cpus)
                break
        if not waited:
            _say(
                f"Job {job.id} step creation temporarily disabled, retrying "
                "(Requested nodes are busy)"
            )
            waited = True
        time.sleep(_LOOK_AGAIN)
    if waited:
        _say(f"Step created for StepId={job.id}.{number}")
    try:
        yield number, taken
    finally:
        os.close(hold)


@contextlib.contextmanager
def _one_at_a_time(cluster: Cluster) -> Iterator[None]:
    with (cluster.directory / "placing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hold(cluster: Cluster, number: int, cpus: dict[int, int]) -> int:
    descriptor = os.open(cluster.steps_directory / str(number), os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, json.dumps(cpus).encode())
    return descriptor


def _free(cluster: Cluster, job: Job) -> list[int]:
    free = list(job.cpus)
    for step in cluster.steps():
        with (cluster.steps_directory / step).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:  # its srun lives and holds it
                for node, count in json.loads(file.read() or "{}").items():
                    free[int(node)] -= count
    return free


def _say(text: str) -> None:
    print(f"srun: {text}", file=sys.stderr, flush=True)
