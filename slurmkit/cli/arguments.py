"""What the verbs that read a job file share: their arguments, late imports, warnings."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slurmkit.cli.completion import complete_job, complete_profile

if TYPE_CHECKING:
    from slurmkit.spec.errors import Problem
    from slurmkit.spec.load import Resolved


def job_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the argument JOB and the options --set, --profile and --template."""
    argument = click.argument("job", metavar="JOB.yaml", shell_complete=complete_job)
    return argument(_job_options(function))


def jobs_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb JOBS, of which there may be several, and the options of `job_arguments`."""
    argument = click.argument(
        "jobs", metavar="JOB.yaml...", nargs=-1, required=True, shell_complete=complete_job
    )
    return argument(_job_options(function))


def _job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def verb(*, overrides: tuple[str, ...], template: str | None, **others: Any) -> Any:
        if template is not None:
            overrides = (*overrides, f"template={_yaml_text(template)}")
        return function(overrides=overrides, **others)

    decorated: Callable[..., Any] = verb
    for decorate in (
        click.option(
            "--template",
            metavar="FILE",
            type=click.Path(),
            help="Own template of the script; for --set template=FILE.",
        ),
        click.option(
            "--profile",
            metavar="NAME",
            help="Profile of the cluster (none for none).",
            shell_complete=complete_profile,
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set one field, such as resources.nodes=4; again for more.",
        ),
    ):
        decorated = decorate(decorated)
    return decorated


def point_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the option --point, which `resolve` takes."""
    return click.option(
        "--point",
        type=click.IntRange(0),
        metavar="N",
        help="Only point N of the sweep, as a plain job (the table of a run numbers them).",
    )(function)


def host_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options --hosts, --hostfile and --master-addr."""
    for decorate in (
        click.option(
            "--master-addr",
            metavar="ADDRESS",
            help="Where the processes meet, when it is not the first host's address for ssh.",
        ),
        click.option(
            "--hostfile",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help="File with a host a line: `host`, or `host slots=8`.",
        ),
        click.option(
            "--hosts", metavar="A,B", help="Hosts as ssh takes them; the first is node 0."
        ),
    ):
        function = decorate(function)
    return function


def _yaml_text(text: str) -> str:
    """Write text as YAML that is text, whatever it looks like."""
    import json

    return json.dumps(text, ensure_ascii=False)


@contextmanager
def late_imports() -> Iterator[None]:
    """Import a verb's rooms, without the plugins of pydantic.

    Looking for them reads the metadata of every installed package. The variable is gone again
    afterwards: programs that the verb starts may want their plugins.
    """
    name = "PYDANTIC_DISABLE_PLUGINS"
    given = os.environ.get(name)
    os.environ[name] = "__all__"
    try:
        yield
    finally:
        del os.environ[name]
        if given is not None:
            os.environ[name] = given


def render_resolved(resolved: Resolved) -> str:
    """Render a job; what cannot be rendered is told with its place in the job file."""
    from slurmkit.render.script import render

    with told_with_places(resolved):
        return render(resolved.spec)


@contextmanager
def told_with_places(resolved: Resolved) -> Iterator[None]:
    """Add the places of a job's values to mistakes that are told with their fields only."""
    from slurmkit.spec.errors import Place, SpecError, dotted

    try:
        yield
    except SpecError as error:
        places = {dotted(path): place for path, place in resolved.places.items()}
        first = next((p for p in places.values() if p.line is not None), None)
        whole = Place(first.source, 1, 1) if first else None

        def placed(problem: Problem) -> Problem:
            if problem.place.line is not None or problem.place.source.startswith("SBATCH_"):
                return problem
            above = re.split(r"[.\[][^.\[]*$", problem.path)[0]
            place = places.get(problem.path) or places.get(above) or whole or problem.place
            return replace(problem, place=place)

        raise SpecError(map(placed, error.problems)) from None


def warn(warnings: list[str]) -> None:
    """Write warnings for people, to standard error."""
    for text in warnings:
        click.echo(f"slurmkit: warning: {text}", err=True)


def write_text(text: str, output: Path | None) -> None:
    """Write what a verb has made: into a file, or to standard output."""
    if output is None or str(output) == "-":
        click.echo(text.encode(), nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        click.echo(
            f"Error: -o {output} cannot be written: {error.strerror}; "
            "name a file in a directory that exists and that you may write to",
            err=True,
        )
        sys.exit(2)


def found_in(resolved: Resolved) -> list[str]:
    """Return a line for each thing that lint finds in a job's values, but for information."""
    from slurmkit.check.lint.job_file import job_findings

    found = job_findings(resolved.spec, resolved.places)
    return [f"{one.place}: {one.what} [{one.code}]. {one.fix}" for one in found]
