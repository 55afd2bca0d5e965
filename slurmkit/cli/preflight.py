"""slurmkit preflight: look at the nodes of a job, and say which of them to leave out."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from slurmkit.cli.arguments import (
    host_arguments,
    job_arguments,
    late_imports,
    point_option,
    warn,
)

if TYPE_CHECKING:
    from slurmkit.check.preflight.script import Ran
    from slurmkit.probe.report import Report
    from slurmkit.spec.load import Resolved
    from slurmkit.spec.model import JobSpec


@click.command("preflight")
@job_arguments
@point_option
@click.option("--only", metavar="A,B", help="These checks alone, such as hosts,network.")
@click.option("--skip", metavar="A,B", help="All checks but these.")
@click.option("--simulate", is_flag=True, help="Here, over pretend nodes.")
@click.option("--nodes", type=click.IntRange(1), help="With --simulate: nodes to pretend.")
@click.option(
    "--processes-per-node",
    type=click.IntRange(1),
    help="With --simulate: training processes on each.",
)
@host_arguments
@click.option(
    "--ssh-option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option as in ~/.ssh/config, such as Port=2222; again for more.",
)
@click.option("--json", "as_json", is_flag=True, help="For another program.")
def command(
    job: str,
    overrides: tuple[str, ...],
    profile: str | None,
    point: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Check the nodes of JOB.yaml (- reads standard input): exit 1 when one is not fit.

    In an allocation the checks run on its nodes. With --hosts they go to hosts by ssh, with
    --simulate they stay here. Otherwise a short job of the same shape is submitted, whose script
    does nothing else.

    Without `preflight` in the job file, all checks run.
    """
    _check_options(given)
    with late_imports():
        from slurmkit.check.preflight.job import checks_alone, refuse_nothing, wanted
        from slurmkit.spec.load import resolve
        from slurmkit.spec.warnings import warnings

    resolved = resolve(job, overrides=overrides, profile=profile, point=point)
    asked = wanted(resolved.spec, _names(given["only"]), _names(given["skip"]))
    spec = checks_alone(resolved.spec, asked)
    refuse_nothing(spec)
    own = {"preflight": resolved.spec.preflight}
    written = spec if given["only"] else spec.model_copy(update=own)
    warn(warnings(written, paths=False, slurm=not given["hosts"]))
    report = _report(resolved, spec, given)
    if isinstance(sys.stdout, io.TextIOWrapper):  # the name of a file may be of no letters
        sys.stdout.reconfigure(errors="backslashreplace")
    if as_json:
        click.echo(json.dumps(report.json(), indent=2, ensure_ascii=False))
    else:
        shown = sys.stdout is not None and sys.stdout.isatty()  # closed, it is None
        width = shutil.get_terminal_size().columns if shown else None
        click.echo("\n".join(report.lines(width)))
    sys.exit(2 if report.checked_nothing else report.code)


def _check_options(given: dict[str, Any]) -> None:
    elsewhere = given["hosts"] or given["hostfile"]
    if given["simulate"] and elsewhere:
        raise click.UsageError("--simulate stays on this machine: leave out --hosts")
    for name in ("nodes", "processes_per_node"):
        if given[name] and not given["simulate"]:
            option = f"--{name.replace('_', '-')}"
            fix = f"elsewhere --set resources.{name}={given[name]}"
            raise click.UsageError(f"{option} is for --simulate; {fix}")


def _report(resolved: Resolved, spec: JobSpec, given: dict[str, Any]) -> Report:
    """Run the checks where they belong."""
    from slurmkit.check.preflight import job, script
    from slurmkit.cli.arguments import told_with_places
    from slurmkit.slurm.commands import NoClusterError

    with told_with_places(resolved):
        if given["simulate"]:
            return _read(_simulated(spec, given))
        if given["hosts"] or given["hostfile"]:
            return _over_ssh(spec, given)
        if os.environ.get("SLURM_JOB_ID"):
            _say(f"on the nodes of job {os.environ['SLURM_JOB_ID']}")
            return _read(script.in_allocation(spec))
        if job.has_slurm():
            with suppress(NoClusterError):  # then Slurm's commands alone are here
                return _read(script.as_job(spec, _say))
        if spec.hosts:
            return _over_ssh(spec, given)
    raise click.UsageError(
        "there is no Slurm here: name hosts (--hosts a,b), or rehearse with --simulate"
    )


def _simulated(spec: JobSpec, given: dict[str, Any]) -> Ran:
    from slurmkit.check.preflight.script import simulated
    from slurmkit.launch.simulate.errors import SimulationError

    try:
        return simulated(spec, given["nodes"], given["processes_per_node"])
    except SimulationError as error:
        raise click.UsageError(str(error)) from None


def _over_ssh(spec: JobSpec, given: dict[str, Any]) -> Report:
    from slurmkit.check.preflight.by_ssh import check_over_ssh
    from slurmkit.launch.hosts import choose_hosts, on_hosts
    from slurmkit.launch.ssh_client import Ssh
    from slurmkit.launch.ssh_job import make_plan
    from slurmkit.render.hosts import refuse_unsupported

    chosen = choose_hosts(spec, hosts=given["hosts"], hostfile=given["hostfile"])
    spec = on_hosts(spec, chosen)
    refuse_unsupported(spec)
    plan = make_plan(spec, chosen, options=given["options"], master=given["master_addr"])
    with Ssh(options=given["options"]) as ssh:
        return check_over_ssh(ssh, plan)


def _read(ran: Ran) -> Report:
    """Return the report of a script; without one, show what the script said instead."""
    report = ran.report
    if report is None:
        for line in ran.last_lines:
            click.echo(line, err=True)
        _say("the checks did not come to an end; the lines above are the script's last words")
        sys.exit(1)
    return report


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


def _say(text: str) -> None:
    click.echo(f"slurmkit: {text}", err=True)
