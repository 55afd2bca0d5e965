"""slurmkit render --hosts: a script for each host, in a directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slurmkit.cli.arguments import warn

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


def write_scripts(
    spec: JobSpec,
    output: Path | None,
    *,
    hosts: str | None,
    hostfile: Path | None,
    master_addr: str | None,
) -> None:
    """Write `launch_node0.sh`, … into a directory, which is made when it is not there."""
    from slurmkit.launch.hosts import choose_hosts, on_hosts
    from slurmkit.render.hosts import left_out, node_addresses, render_hosts
    from slurmkit.spec.warnings import warnings

    if output is None or str(output) == "-":
        raise click.UsageError("--hosts makes several scripts: give a directory, -o launch/")
    chosen = choose_hosts(spec, hosts=hosts, hostfile=hostfile)
    spec = on_hosts(spec, chosen)
    names = [host.name for host in chosen]
    scripts = render_hosts(spec, names, master=master_addr)
    warn([*warnings(spec, slurm=False), *left_out(spec)])
    if spec.preflight:
        warn(["preflight: not in scripts that are started by hand; see slurmkit preflight --hosts"])
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in scripts.items():
            path = output / name
            path.write_text(text, encoding="utf-8")
            path.chmod(path.stat().st_mode | 0o111)
    except OSError as error:
        click.echo(
            f"Error: -o {output}: scripts cannot be written there: {error.strerror}; "
            "name a directory that you may write to",
            err=True,
        )
        sys.exit(2)
    for name, node in zip(scripts, node_addresses(spec, names), strict=True):
        click.echo(f"slurmkit: {output / name}: start it on {node}", err=True)
