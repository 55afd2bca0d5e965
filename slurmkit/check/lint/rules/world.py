"""WORLD_SIZE as a number that is not that of the tasks (SK217)."""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule
from slurmkit.check.lint.shape import launcher_nodes, processes_per_node, step_nodes
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.variables import assigned, number


@rule("SK217")
def other_world_size(job: Job) -> Iterator[Found]:
    """`export WORLD_SIZE=8` in a job of 16 tasks."""
    if job.is_het:
        return
    for launch in job.launches:
        command = launch.command
        own = next((v for v in command.variables if v.name == "WORLD_SIZE"), None)
        found = own or assigned("WORLD_SIZE", command.shell, command.order, command.context)
        is_seen = found is own or "WORLD_SIZE" in job.script.exports
        if found is None or not (is_seen or found.is_exported):
            continue
        size = number(found.value, found.order, found.context)
        tasks = _processes(job, launch)
        if size is None or tasks is None or size == tasks or not launch.through:
            continue
        if launch.is_launcher:
            what = f"WORLD_SIZE={size} is overwritten by {launch.kind}, which starts {tasks}"
            yield job.found("SK217", found.span, what, severity="info")
        else:
            what = f"WORLD_SIZE={size}, but srun starts {tasks} task{'s' if tasks > 1 else ''}"
            yield job.found("SK217", found.span, what)


def _processes(job: Job, launch: Launch) -> int | None:
    if launch.is_launcher:
        nodes, each = launcher_nodes(job, launch), processes_per_node(job, launch)
        return nodes * each if nodes and each else None
    option = launch.srun_option("ntasks")
    if option is not None and launch.srun_command is not None:
        return job.count(option, launch.srun_command.order, launch.srun_command.context)
    tasks, nodes = job.step_tasks_per_node(launch), step_nodes(job, launch)
    return tasks * nodes if tasks and nodes else None
