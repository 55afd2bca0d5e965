"""slurmkit render: the batch script, and nothing else, on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slurmkit.cli.arguments import (
    found_in,
    host_arguments,
    job_arguments,
    late_imports,
    point_option,
    render_resolved,
    warn,
    write_text,
)


@click.command("render")
@job_arguments
@point_option
@host_arguments
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here.")
def command(
    job: str,
    overrides: tuple[str, ...],
    profile: str | None,
    point: int | None,
    output: Path | None,
    **hosts: Any,
) -> None:
    """Print the batch script of JOB.yaml (- reads standard input).

    slurmkit render job.yaml | sbatch

    With --hosts or --hostfile it writes a script for each host, for running without Slurm:

    slurmkit render job.yaml --hosts 10.0.1.100,10.0.1.101 -o launch/
    """
    with late_imports():
        from slurmkit.spec.load import resolve
        from slurmkit.spec.setup import check_setup
        from slurmkit.spec.warnings import warnings

    resolved = resolve(job, overrides=overrides, profile=profile, point=point)
    check_setup(resolved.spec, resolved.places)
    if hosts["hosts"] is not None or hosts["hostfile"] is not None:
        from slurmkit.cli.render_hosts import write_scripts

        write_scripts(resolved.spec, output, **hosts)
        return
    script = render_resolved(resolved)
    warn([*warnings(resolved.spec, coded=False), *found_in(resolved)])
    write_text(script, output)
