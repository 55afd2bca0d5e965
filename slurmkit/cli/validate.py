"""slurmkit validate: is the job file right, and what does it come to?"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from slurmkit.cli.arguments import (
    job_arguments,
    late_imports,
    point_option,
    render_resolved,
    warn,
)

if TYPE_CHECKING:
    from slurmkit.check.lint.job_file import InJobFile
    from slurmkit.spec.errors import Problem


@click.command("validate")
@job_arguments
@point_option
@click.option("--info", is_flag=True, help="Tell also what is a matter of style or of the site.")
@click.option("--show", is_flag=True, help="Print the resolved job, and where each value is from.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(  # noqa: PLR0913  an argument an option
    *,
    job: str,
    overrides: tuple[str, ...],
    profile: str | None,
    point: int | None,
    info: bool,
    show: bool,
    as_json: bool,
) -> None:
    """Check JOB.yaml (- reads standard input) without running anything."""
    with late_imports():
        from slurmkit.check.lint.job_file import job_findings
        from slurmkit.spec.errors import SpecError
        from slurmkit.spec.load import resolve
        from slurmkit.spec.setup import check_setup
        from slurmkit.spec.show import show_resolved
        from slurmkit.spec.sweep import count_points
        from slurmkit.spec.warnings import warnings

    try:
        resolved = resolve(job, overrides=overrides, profile=profile, point=point)
        check_setup(resolved.spec, resolved.places)
        render_resolved(resolved)
    except SpecError as error:
        if not as_json:
            raise
        found = [_as_data(problem) for problem in error.problems]
        wrong = {"valid": False, "problems": found, "warnings": [], "findings": []}
        click.echo(json.dumps(wrong, indent=2))
        sys.exit(2)
    spec = resolved.spec
    findings = job_findings(spec, resolved.places, info=info)
    if as_json:
        answer: dict[str, object] = {"valid": True, "problems": [], "warnings": warnings(spec)}
        answer["findings"] = [_found(finding) for finding in findings]
        if spec.sweep:
            answer["points"] = count_points(spec)
        click.echo(json.dumps(answer, indent=2))
        return
    warn(warnings(spec, coded=False))
    for one in findings:
        click.echo(f"{one.place}: {one.severity} {one.code}: {one.what}", err=True)
        click.echo(f"    fix: {one.fix}", err=True)
    if show:
        click.echo(show_resolved(resolved), nl=False)
    else:
        shape = f"{spec.resources.nodes} x {spec.processes_per_node} processes"
        if spec.sweep:
            count = count_points(spec)
            shape = f"{count} point{'s' if count > 1 else ''} of {shape}"
        click.echo(f"{job}: valid: {shape}", err=True)


def _as_data(problem: Problem) -> dict[str, object]:
    place = problem.place
    return {
        "file": place.source,
        "line": place.line,
        "column": place.column,
        "path": problem.path,
        "what": problem.what,
        "value": problem.value,
        "expected": problem.expected,
        "fix": problem.fix,
    }


def _found(finding: InJobFile) -> dict[str, object]:
    """Return a finding as `lint --json` writes it, with the file and the field."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "file": finding.at.source,
        "line": finding.at.line,
        "column": finding.at.column,
        "path": finding.path,
        "message": finding.what,
        "fix": finding.fix,
    }
