"""A job as the script that submitit's local executor starts: one node, without Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.render.hosts import start_word
from slurmkit.render.script import context
from slurmkit.render.templates import template
from slurmkit.slurm.scalars import parse_time

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


def render_local(spec: JobSpec, *, job_file: JobSpec) -> str:
    """Return the script of a job whose tasks submitit starts on this machine.

    Args:
        spec: the job that `launch.in_process` makes.
        job_file: the job that the run directory keeps.
    """
    names = {
        "chdir": start_word(spec),
        "cpus_per_node": spec.resources.cpus_per_node,
        "seconds": parse_time(spec.resources.time) if spec.resources.time else None,
        "most_requeues": spec.requeue.max_requeues if spec.requeue else 0,
    }
    return template("submitit/local.sh.j2").render({**context(spec, job_file), **names})
