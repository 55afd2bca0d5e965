"""slurmkit schema: the JSON schema of job files, for editors."""

from __future__ import annotations

import json

import click

from slurmkit.cli.arguments import late_imports


@click.command("schema")
def command() -> None:
    """Print the JSON schema of job files."""
    with late_imports():
        from slurmkit.spec.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
