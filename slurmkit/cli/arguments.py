"""What the verbs that read a job file share: their arguments, late imports, warnings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from slurmkit.cli.completion import complete_job, complete_profile

if TYPE_CHECKING:
    from slurmkit.spec.load import Resolved


def job_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the argument JOB and the options --set, --profile and --template."""

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
        click.argument("job", metavar="JOB.yaml", shell_complete=complete_job),
    ):
        decorated = decorate(decorated)
    return decorated


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
    from slurmkit.spec.errors import SpecError

    try:
        return render(resolved.spec)
    except SpecError as error:
        paths = [tuple(problem.path.split(".")) for problem in error.problems]
        raise SpecError(
            replace(problem, place=resolved.places.get(path, problem.place))
            for path, problem in zip(paths, error.problems, strict=True)
        ) from None


def warn(warnings: list[str]) -> None:
    """Write warnings for people, to standard error."""
    for text in warnings:
        click.echo(f"slurmkit: warning: {text}", err=True)
