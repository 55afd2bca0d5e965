"""slurmkit simulate: the very script, run over pretend nodes on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slurmkit.cli.arguments import job_arguments, late_imports, point_option, warn

if TYPE_CHECKING:
    from slurmkit.launch.simulate.run import Outcome
    from slurmkit.launch.simulate.trouble import Trouble


def _reading(function: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that reads an option with a function of the module `trouble`."""

    def callback(_: click.Context, __: click.Parameter, value: Any) -> Any:
        if value is None or value == ():
            return value
        from slurmkit.launch.simulate import trouble

        read: Callable[[str], object] = getattr(trouble, function)
        try:
            return read(value) if isinstance(value, str) else tuple(map(read, value))
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


@click.command("simulate")
@job_arguments
@point_option
@click.option("--nodes", type=click.IntRange(1), help="Nodes to pretend.")
@click.option(
    "--processes-per-node",
    "--procs-per-node",
    type=click.IntRange(1),
    help="Training processes on each.",
)
@click.option(
    "--kill",
    multiple=True,
    metavar="NODE@TIME",
    callback=_reading("read_kill"),
    help="A node dies (node1@10s); more than one may.",
)
@click.option(
    "--signal",
    metavar="NAME@TIME",
    callback=_reading("read_signal"),
    help="The signal before the time limit (USR1@10s), which moves to fit.",
)
@click.option(
    "--preempt",
    metavar="TIME",
    callback=_reading("read_seconds"),
    help="The job is preempted: TERM, grace time, requeue.",
)
@click.option(
    "--grace",
    metavar="TIME",
    default="30s",
    show_default=True,
    callback=_reading("read_seconds"),
    help="The grace time of --preempt.",
)
@click.option(
    "--cancel",
    metavar="TIME",
    callback=_reading("read_seconds"),
    help="The job is cancelled, as by scancel.",
)
@click.option("--every-run", is_flag=True, help="Trouble in requeued runs, too.")
def command(  # noqa: PLR0913  an argument an option
    *,
    job: str,
    overrides: tuple[str, ...],
    profile: str | None,
    point: int | None,
    nodes: int | None,
    processes_per_node: int | None,
    **trouble: Any,
) -> None:
    """Run the script of JOB.yaml here, over pretend nodes (- reads standard input).

    What is replaced for one machine is printed first; nothing else differs.

    Trouble can be rehearsed. Its times (10s, 2m, or 10 for seconds) count from the start of the
    script: choose one at which your program trains. It strikes in the first run only, so that a
    requeued job can finish.
    """
    with late_imports():
        from slurmkit.launch.simulate.errors import SimulationError
        from slurmkit.launch.simulate.job import simulate_job
        from slurmkit.spec.load import resolve
        from slurmkit.spec.warnings import warnings

    resolved = resolve(job, overrides=overrides, profile=profile, point=point)
    warn(warnings(resolved.spec, paths=False))  # those are errors here
    try:
        outcome = simulate_job(
            resolved.spec,
            nodes=nodes,
            processes_per_node=processes_per_node,
            places=resolved.places,
            trouble=_trouble(trouble),
        )
    except SimulationError as error:
        raise click.UsageError(str(error)) from None
    if outcome.state == "FAILED" and outcome.directory is not None:
        _say_why(outcome.job_id, outcome.directory)
    click.echo(_summary(outcome), err=True)
    sys.exit(0 if outcome.state == "COMPLETED" else 1)


def _trouble(given: dict[str, Any]) -> Trouble:
    from slurmkit.launch.simulate.trouble import Strike, Trouble

    strikes: list[Strike] = [*given["kill"], *filter(None, [given["signal"]])]
    if given["preempt"] is not None:
        strikes.append(Strike(given["preempt"], "preempt"))
    if given["cancel"] is not None:
        strikes.append(Strike(given["cancel"], "cancel"))
    return Trouble(tuple(strikes), given["grace"], given["every_run"])


def _say_why(job_id: int, directory: Path) -> None:
    """Say what the doctor knows of a job that failed."""
    from slurmkit.check.doctor.glance import glance
    from slurmkit.launch.rundir import RunDirectory

    verdict = glance(RunDirectory(directory), "FAILED")
    if verdict is not None and verdict.is_telling:
        click.echo(f"slurmkit doctor {job_id}: {verdict.in_a_line()}", err=True)


def _summary(outcome: Outcome) -> str:
    """Return the last line: how the job ended, and where to look."""
    from slurmkit.launch.rundir import RunDirectory

    if outcome.tasks:
        return _summary_of_sweep(outcome)
    failed = outcome.state != "COMPLETED"
    text = f"simulate: job {outcome.job_id} {outcome.state}"
    text += f" with exit code {outcome.code}" if outcome.state == "FAILED" else ""
    text += f" after {outcome.seconds:.1f} s"
    if outcome.restarts:
        text += f" and {outcome.restarts} requeue{'s' if outcome.restarts > 1 else ''}"
    if outcome.first:
        text += f"; first to fail: {outcome.first.text}"
        if outcome.first.log:
            return f"{text}, see {_shown(outcome.first.log)}"
    if outcome.directory is None:
        return f"{text}; it made no run directory"
    run = RunDirectory(outcome.directory)
    if failed and run.rank_logs():
        return f"{text}; logs in {_shown(run.logs)}"
    if failed and run.own_output.is_file():
        return f"{text}; see {_shown(run.own_output)}"
    return f"{text}; run directory {_shown(outcome.directory)}"


def _summary_of_sweep(outcome: Outcome) -> str:
    bad = [task for task in outcome.tasks if task.state != "COMPLETED"]
    count = len(outcome.tasks)
    text = f"simulate: sweep {outcome.job_id}: {count - len(bad)} of {count} points COMPLETED"
    if bad:
        text += f"; not {', '.join(str(task.task) for task in bad)} (first: {bad[0].state})"
        if bad[0].directory:
            return f"{text}, logs in {_shown(bad[0].directory / 'logs')}"
    if outcome.directory is None:
        return f"{text}; they made no run directory"
    return f"{text}; their table is {_shown(outcome.directory / 'sweep.tsv')}"


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
