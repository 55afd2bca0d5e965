"""slurmkit render: the batch script, and nothing else, on standard output."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from slurmkit.cli.arguments import job_arguments, late_imports, render_resolved, warn


@click.command("render")
@job_arguments
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here.")
def command(job: str, overrides: tuple[str, ...], profile: str | None, output: Path | None) -> None:
    """Print the batch script of JOB.yaml (- reads standard input).

    slurmkit render job.yaml | sbatch
    """
    with late_imports():
        from slurmkit.spec.load import resolve
        from slurmkit.spec.setup import check_setup
        from slurmkit.spec.warnings import warnings

    resolved = resolve(job, overrides=overrides, profile=profile)
    check_setup(resolved.spec, resolved.places)
    script = render_resolved(resolved)
    warn(warnings(resolved.spec))
    if output is None or str(output) == "-":
        click.echo(script.encode(), nl=False)
        return
    try:
        output.write_text(script, encoding="utf-8")
    except OSError as error:
        click.echo(
            f"Error: -o {output} cannot be written: {error.strerror}; "
            "name a file in a directory that exists and that you may write to",
            err=True,
        )
        sys.exit(2)
