"""slurmkit doctor: the first cause of a job's death, with its evidence and what to do."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from slurmkit.check.doctor.patient import Patient


@click.command("doctor")
@click.argument("job", metavar="[JOB | RUN_DIR]", required=False)
@click.option(
    "--log",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Read this file, or all logs of a directory, of anybody's job; several may follow.",
)
@click.argument("more", metavar="[FILE…]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--explain", metavar="CODE", help="Tell of a cause, such as D27.")
@click.option("--json", "as_json", is_flag=True, help="For another program.")
def command(
    job: str | None,
    more: tuple[Path, ...],
    files: tuple[Path, ...],
    explain: str | None,
    as_json: bool,
) -> None:
    """Name the first cause of a job's death.

    JOB is an id or a name; the last job that failed when nothing is named. With --log, only the
    files are read: those of anybody's job.
    """
    if explain is not None:
        click.echo(_explained(explain))
        return
    patient = _patient(job, (*files, *more))
    from slurmkit.check.doctor.diagnose import diagnose

    found = diagnose(patient.logs, state=patient.state, node=patient.node)
    if as_json:
        click.echo(json.dumps(_data(patient, found), indent=2, ensure_ascii=False))
        return
    for note in patient.notes:
        click.echo(f"slurmkit: {note}", err=True)
    from slurmkit.check.doctor.text import lines

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    click.echo("\n".join(lines(found, patient.state, width)))


def _patient(job: str | None, files: tuple[Path, ...]) -> Patient:
    from slurmkit.check.doctor import patient

    if files:
        named = [Path(job), *files] if job else list(files)
        missing = [path for path in named if not path.exists()]
        if missing:
            raise click.UsageError(f"no file {missing[0]}: name the logs of a job")
        try:
            return patient.of_files(named)
        except FileNotFoundError as error:
            raise click.UsageError(str(error)) from None
    if job is not None and Path(job).is_dir():
        return patient.of_directory(Path(job))
    if job is not None and Path(job).is_file():
        return patient.of_files([Path(job)])
    return patient.of_job(job)


def _data(patient: Patient, found: Any) -> dict[str, Any]:
    return {
        "job": patient.id,
        "name": patient.name,
        "state": patient.state,
        "files": [str(log.path) for log in patient.logs],
        "findings": [verdict.data() for verdict in found.findings],
    }


def _explained(code: str) -> str:
    from slurmkit.check.doctor.cause import by_code
    from slurmkit.check.doctor.text import explained

    cause = by_code().get(code.upper())
    if cause is None or not cause.meaning:
        known = ", ".join(name for name, one in by_code().items() if one.meaning)
        raise click.UsageError(f"no cause {code!r}: there are {known}")
    return "\n".join(explained(cause))
