"""slurmkit simulate: the very script, run over pretend nodes on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from slurmkit.cli.arguments import job_arguments, late_imports, warn


@click.command("simulate")
@job_arguments
@click.option("--nodes", type=click.IntRange(1), help="Nodes to pretend.")
@click.option(
    "--processes-per-node",
    "--procs-per-node",
    type=click.IntRange(1),
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
    with late_imports():
        from slurmkit.launch.simulate.errors import SimulationError
        from slurmkit.launch.simulate.job import simulate_job
        from slurmkit.spec.load import resolve
        from slurmkit.spec.warnings import warnings

    resolved = resolve(job, overrides=overrides, profile=profile)
    warn(warnings(resolved.spec, paths=False))  # those are errors here
    try:
        outcome = simulate_job(
            resolved.spec,
            nodes=nodes,
            processes_per_node=processes_per_node,
            places=resolved.places,
        )
    except SimulationError as error:
        raise click.UsageError(str(error)) from None
    failed = outcome.state != "COMPLETED"
    text = f"simulate: job {outcome.job_id} {outcome.state}"
    text += f" with exit code {outcome.code}" if failed else ""
    text += f" after {outcome.seconds:.1f} s; "
    if outcome.directory is None:
        text += "it made no run directory"
    else:
        text += f"{'logs in' if failed else 'run directory'} {_shown(outcome.directory, failed)}"
    click.echo(text, err=True)
    sys.exit(1 if failed else 0)


def _shown(directory: Path, failed: bool) -> Path:
    here = Path.cwd()
    shown = directory.relative_to(here) if directory.is_relative_to(here) else directory
    return shown / "logs" if failed else shown
