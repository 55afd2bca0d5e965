"""What the verbs that read a job file share: its name, --set and --profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def job_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the argument JOB and the options --set and --profile."""
    for decorate in (
        click.option("--profile", metavar="NAME", help="Profile of the cluster (none for none)."),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set one field, such as resources.nodes=4; again for more.",
        ),
        click.argument("job", metavar="JOB.yaml"),
    ):
        function = decorate(function)
    return function


def warn(warnings: list[str]) -> None:
    """Write warnings for people, to standard error."""
    for text in warnings:
        click.echo(f"slurmkit: warning: {text}", err=True)
