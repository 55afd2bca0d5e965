"""Simulate a job: what is replaced, the script, and its run."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from slurmkit.launch.paths import check_paths
from slurmkit.launch.simulate.jobid import port_of
from slurmkit.launch.simulate.machine import this_machine
from slurmkit.launch.simulate.plan import plan
from slurmkit.launch.simulate.run import Outcome, simulate
from slurmkit.launch.simulate.say import say
from slurmkit.launch.simulate.sweep import programs, run_points
from slurmkit.launch.simulate.trouble import Trouble
from slurmkit.render.script import render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from slurmkit.spec.errors import Path as FieldPath
    from slurmkit.spec.errors import Place
    from slurmkit.spec.model import JobSpec

_MANY = 16  # processes a CPU, from which on a simulation is no pleasure


def simulate_job(  # noqa: PLR0913  all but the first by name
    spec: JobSpec,
    *,
    nodes: int | None = None,
    processes_per_node: int | None = None,
    places: Mapping[FieldPath, Place] | None = None,
    trouble: Trouble | None = None,
    begun: Callable[[int], object] = lambda _: None,
    checks_only: bool = False,
) -> Outcome:
    """Run a job's script over pretend nodes here; print what was replaced to standard error.

    The points of a sweep run one after another.

    Args:
        spec: the job.
        nodes: number of nodes to pretend; None for the job's own.
        processes_per_node: training processes a node; None for the job's own.
        places: where the job's values were written, for errors.
        trouble: what goes wrong; nothing, when not given.
        begun: called with the job's id before the script starts.
        checks_only: whether the script ends behind its preflight checks.

    Raises:
        SpecError: the job cannot be rendered, or names paths that are not here.
        SimulationError: no free port, no start directory, no leave to run anything here, or
            trouble for a node that the job does not have.
    """
    machine = this_machine(with_gpus=spec.resources.gpus_per_node > 0)
    planned, replacements = plan(spec, nodes, processes_per_node, machine)
    trouble = trouble or Trouble()
    trouble.check(planned.resources.nodes)
    for one, its_places in programs(planned, places or {}):
        check_paths(one, its_places, os.environ)
    script = render(planned, checks_only=checks_only)
    shape = f"{planned.resources.nodes} nodes x {planned.processes_per_node} processes"
    say(f"{planned.name!r}, {shape}; replaced in the script, and nothing else:")
    for replacement in replacements:
        say(f"  {replacement}")
    if planned.world_size > _MANY * machine.cpus:
        say(
            f"slow: {planned.world_size} processes on {machine.cpus} CPUs; each imports torch of "
            "its own (fewer: --nodes 2 --processes-per-node 1)"
        )
    run = partial(
        simulate,
        script,
        machine=machine,
        port_of=lambda job_id: port_of(planned, job_id),
        trouble=trouble,
        begun=begun,
    )
    return run_points(planned, run) if planned.sweep else run()
