"""slurmkit simulate: the very script, run over pretend nodes on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from slurmkit.cli.arguments import job_arguments, warn

_MANY = 16  # processes a CPU, from which on a simulation is no pleasure


@click.command("simulate")
@job_arguments
@click.option("--nodes", type=click.IntRange(1, 1024), help="Nodes to pretend.")
@click.option(
    "--processes-per-node",
    "--procs-per-node",
    type=click.IntRange(1, 1024),
    help="Training processes on each.",
)
def command(
    job: str,
    overrides: tuple[str, ...],
    profile: str | None,
    nodes: int | None,
    processes_per_node: int | None,
) -> None:
    """Run the script of JOB.yaml here, over pretend nodes (- reads standard input).

    What is replaced for one machine is printed first; nothing else differs.
    """
    import os

    from slurmkit.launch.simulate.batch import say
    from slurmkit.launch.simulate.jobid import NoPortError, port_of
    from slurmkit.launch.simulate.machine import this_machine
    from slurmkit.launch.simulate.paths import check_paths
    from slurmkit.launch.simulate.plan import plan
    from slurmkit.launch.simulate.run import simulate
    from slurmkit.render.script import render
    from slurmkit.spec.load import resolve
    from slurmkit.spec.warnings import warnings

    resolved = resolve(job, overrides=overrides, profile=profile)
    machine = this_machine(with_gpus=resolved.spec.resources.gpus_per_node > 0)
    spec, replacements = plan(resolved.spec, nodes, processes_per_node, machine)
    check_paths(spec, resolved.places, os.environ)
    script = render(spec)
    warn(warnings(spec))
    ranks, shape = (
        spec.world_size,
        f"{spec.resources.nodes} nodes x {spec.processes_per_node} processes",
    )
    if ranks > _MANY * machine.cpus:
        warn(
            [
                f"{ranks} processes on {machine.cpus} CPUs: fewer with --nodes 2 --processes-per-node 2"
            ]
        )
    say(f"{spec.name!r}, {shape}; replaced in the script, and nothing else:")
    for replacement in replacements:
        say(f"  {replacement}")
    try:
        outcome = simulate(script, machine=machine, port_of=lambda number: port_of(spec, number))
    except (OSError, NoPortError) as error:
        raise click.UsageError(str(error)) from None
    where = (
        f"run directory {_shown(outcome.directory)}" if outcome.directory else "no run directory"
    )
    how = "" if outcome.state == "COMPLETED" else f" with exit code {outcome.code}"
    say(f"job {outcome.job_id} {outcome.state}{how} after {outcome.seconds:.1f} s; {where}")
    if outcome.state != "COMPLETED":
        if outcome.directory:
            say(f"a log a rank: {_shown(outcome.directory / 'logs')}")
        sys.exit(1)


def _shown(directory: Path) -> str:
    here = Path.cwd()
    return str(directory.relative_to(here) if directory.is_relative_to(here) else directory)
