"""slurmkit validate: is the job file right, and what does it come to?"""

from __future__ import annotations

import click

from slurmkit.cli.arguments import job_arguments, late_imports, warn


@click.command("validate")
@job_arguments
@click.option("--show", is_flag=True, help="Print the resolved job, and where each value is from.")
def command(job: str, overrides: tuple[str, ...], profile: str | None, show: bool) -> None:
    """Check JOB.yaml (- reads standard input) without running anything."""
    with late_imports():
        from slurmkit.render.script import render
        from slurmkit.spec.load import resolve
        from slurmkit.spec.show import show_resolved
        from slurmkit.spec.warnings import warnings

    resolved = resolve(job, overrides=overrides, profile=profile)
    render(resolved.spec)
    warn(warnings(resolved.spec))
    if show:
        click.echo(show_resolved(resolved), nl=False)
    else:
        nodes, processes = resolved.spec.resources.nodes, resolved.spec.processes_per_node
        click.echo(f"{job}: valid: {nodes} nodes, {processes} processes each", err=True)
