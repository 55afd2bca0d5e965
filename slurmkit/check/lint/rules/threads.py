"""The rule on OMP_NUM_THREADS."""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.work import before_first_command
from slurmkit.check.script.launches import Launch
from slurmkit.slurm.scalars import whole

_AGENTS = ("torchrun", "torch.distributed.launch", "accelerate")


@rule("SK508")
def threads(job: Job) -> Iterator[Found]:
    """OMP_NUM_THREADS is not set."""
    if b"OMP_NUM_THREADS" in job.script.source.data:
        return
    for launch in job.launches:
        if launch.option("num-cpu-threads-per-process") is not None:
            continue
        count = _processes(job, launch)
        if launch.kind in _AGENTS and count != 1:
            what = "torchrun gives each process one thread"
        elif launch.kind == "direct" and (count or 1) > 1:
            what = f"each of {count} processes on a node starts a thread for every CPU"
        else:
            continue
        yield job.found("SK508", launch.span, what, edits=_edit(job, launch, count))
        return


def _processes(job: Job, launch: Launch) -> int | None:
    """Return how many processes of a launch share a node; None where that is not known."""
    if launch.kind == "direct":
        return job.step_tasks_per_node(launch)
    if launch.kind == "accelerate":
        count = launch.number("num-processes")
        return count // (job.nodes or 1) if count is not None else None
    if launch.option("nproc-per-node") is None:
        return 1
    text = launch.text("nproc-per-node")
    if text in ("gpu", "auto"):
        return job.gpus_per_node
    return launch.number("nproc-per-node")


def _edit(job: Job, launch: Launch, count: int | None) -> tuple[Edit, ...]:
    """Return the edit that sets it in front of the first command, where the CPUs are known."""
    cpus = whole(job.value("cpus-per-task"))
    if not count or not cpus:
        return ()
    share = count if launch.kind != "direct" else 1
    value = "$SLURM_CPUS_PER_TASK" if share == 1 else f"$((SLURM_CPUS_PER_TASK / {share}))"
    if cpus < share:
        value = "1"
    return before_first_command(job, f"export OMP_NUM_THREADS={value}")
