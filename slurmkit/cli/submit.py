"""slurmkit submit: hand jobs to Slurm; their ids, and nothing else, on standard output."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slurmkit.cli.arguments import (
    found_in,
    jobs_arguments,
    late_imports,
    point_option,
    render_resolved,
    told_with_places,
    warn,
)

if TYPE_CHECKING:
    from slurmkit.launch.registry import Entry
    from slurmkit.spec.load import Resolved

_INTERRUPTED = 130


@click.command("submit")
@jobs_arguments
@point_option
@click.option(
    "--via",
    type=click.Choice(["sbatch", "submitit"]),
    default="sbatch",
    show_default=True,
    help="Who starts the program: the script, or submitit, in-process.",
)
@click.option("--chain", is_flag=True, help="Several jobs, each after the one before (afterok).")
@click.option("--hold", is_flag=True, help="Submit it held: `scontrol release ID` lets it go.")
@click.option("--test-only", is_flag=True, help="Ask when it would start; submit nothing.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit 1 when it fails.")
@click.option("--follow", is_flag=True, help="Show its log until its end; exit 1 when it fails.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a job, not its id.")
def command(
    jobs: tuple[str, ...],
    overrides: tuple[str, ...],
    profile: str | None,
    point: int | None,
    **options: Any,
) -> None:
    """Submit JOB.yaml to Slurm (- reads standard input) and print its id.

    What sbatch refuses is told with the field of the job file that is the cause.
    """
    _check_options(jobs, options)
    resolved = _resolve_all(jobs, overrides, profile, point)
    if options["test_only"]:
        for job in resolved:
            _test(job, options["as_json"])
        return
    entries = _submit_all(resolved, options["via"], options["hold"])
    swept = [bool(job.spec.sweep) for job in resolved]
    for entry, sweep in zip(entries, swept, strict=True):
        click.echo(json.dumps(_as_data(entry, sweep)) if options["as_json"] else entry.id)
    sys.stdout.flush()
    _tell(entries, swept, options["hold"])
    if options["wait"] or options["follow"]:
        sys.exit(_stay(entries, options["follow"]))


def _check_options(jobs: tuple[str, ...], options: dict[str, Any]) -> None:
    if len(jobs) > 1 and not (options["chain"] or options["test_only"]):
        raise click.UsageError(
            "several jobs: --chain runs each after the one before; "
            "submit those that do not depend on each other one by one"
        )
    if options["via"] != "sbatch" and options["test_only"]:
        raise click.UsageError("--test-only is sbatch's: leave out --via submitit")
    if (len(jobs) > 1 or options["hold"]) and shutil.which("sbatch") is None:
        raise click.UsageError("--chain and --hold need Slurm, and there is no sbatch here")


def _resolve_all(
    jobs: tuple[str, ...], overrides: tuple[str, ...], profile: str | None, point: int | None
) -> list[Resolved]:
    """Read and check all job files, so that none is submitted when a later one is wrong."""
    with late_imports():
        from slurmkit.launch.sbatch import check_here
        from slurmkit.spec.errors import Problem, SpecError
        from slurmkit.spec.load import resolve
        from slurmkit.spec.setup import check_setup
        from slurmkit.spec.warnings import warnings

    import os

    found: list[Resolved] = []
    problems: list[Problem] = []
    for job in jobs:
        try:
            resolved = resolve(job, overrides=overrides, profile=profile, point=point)
            check_setup(resolved.spec, resolved.places)
            with told_with_places(resolved):
                check_here(resolved.spec, os.environ)
            if len(jobs) > 1:
                render_resolved(resolved)
            found.append(resolved)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    for resolved in found:
        told = warnings(resolved.spec, paths=False, coded=False)  # paths are errors here
        warn([*told, *found_in(resolved)])
    return found


def _submit_all(resolved: list[Resolved], via: str, hold: bool) -> list[Entry]:
    from slurmkit.launch import registry, sbatch
    from slurmkit.launch.chain import after, submit_chain
    from slurmkit.launch.job import back_end

    module: Any = back_end(via)

    def submit(job: Resolved, before: str | None, held: bool) -> Entry:
        spec = job.spec if before is None else after(job.spec, before)
        with told_with_places(job):
            entry: Entry = module.submit(spec, ["--hold"] if held else [])
        registry.remember(entry)
        return entry

    return submit_chain(resolved, submit, sbatch, _say, hold=hold)


def _test(job: Resolved, as_json: bool) -> None:
    """Print when a job would start: the time on standard output, the rest for people."""
    from slurmkit.launch.sbatch import would_start

    with told_with_places(job):
        start = would_start(job.spec)
    if as_json:
        click.echo(json.dumps({"name": job.spec.name, **asdict(start)}))
    elif start.time:
        click.echo(start.time)
    _say(f"{job.spec.name!r} was not submitted; Slurm says: {start.said.removeprefix('sbatch: ')}")


def _as_data(entry: Entry, sweep: bool) -> dict[str, str]:
    return {**asdict(entry), "log": str(_log(entry, sweep))}


def _log(entry: Entry, sweep: bool) -> Path:
    """Return the file that the job's script writes to, where the job starts; a * for points."""
    return Path(entry.directory).parents[2] / f"slurmkit-{entry.id}{'_*' if sweep else ''}.out"


def _tell(entries: list[Entry], swept: list[bool], held: bool) -> None:
    """Say where the files of the jobs will be and what to type next."""
    first = entries[0].id
    for before, entry, sweep in zip((None, *entries), entries, swept, strict=False):
        stands = "is held" if held else "is in the queue"
        stands = "runs here" if entry.cluster == "local" else stands
        if before is not None:
            stands = f"starts when job {before.id} ({before.name}) has ended well"
        _say(f"job {entry.id} ({entry.name}) {stands}")
        rows = {
            "log": _shown(_log(entry, sweep)),
            "directory": f"{_shown(Path(entry.directory))}{'_*' * sweep}, once it has started",
        }
        if entry is entries[-1]:
            ids = " ".join(entry.id for entry in entries)
            release = f"scontrol release {first}; " if held else ""
            follow = f"slurmkit status {first}; slurmkit logs {first} --follow"
            rows["next"] = f"{release}{follow}; slurmkit cancel {ids}"
        for name, text in rows.items():
            click.echo(f"    {name + ':':<11}{text}", err=True)


def _stay(entries: list[Entry], follow: bool) -> int:
    """Wait for the end of the jobs, one after another; return the exit code that tells it."""
    failed: list[Entry] = []
    try:
        for entry in entries:
            if _follow(entry) if follow else _wait(entry):
                continue
            if failed and not Path(entry.directory).exists():
                _say(f"it never ran: job {failed[0].id} ({failed[0].name}) had not ended well")
            failed.append(entry)
    except KeyboardInterrupt:
        ids = " ".join(entry.id for entry in entries)
        _say(f"you have stopped waiting; the job goes on: slurmkit cancel {ids} ends it")
        return _INTERRUPTED
    return 1 if failed else 0


def _wait(entry: Entry) -> bool:
    from slurmkit.launch.job import Job

    state = Job(entry).wait()
    _say(f"job {entry.id} ({entry.name}) is {state}: {state.words}")
    if state.phase != "good" and Path(entry.directory).exists():
        _say(f"see: slurmkit logs {entry.id}")
    return state.phase == "good"


def _follow(entry: Entry) -> bool:
    """Write the lines of the log to standard error: standard output has the id."""
    from slurmkit.observe import logs

    def write(block: bytes) -> None:
        sys.stderr.buffer.write(block)
        sys.stderr.flush()

    state = logs.follow(entry, write=write, say=_say)
    _say(f"job {entry.id} ({entry.name}) is {state}: {state.words}")
    return state.phase == "good"


def _say(text: str) -> None:
    click.echo(f"slurmkit: {text}", err=True)


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
