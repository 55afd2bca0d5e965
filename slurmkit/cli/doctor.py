"""slurmkit doctor: the first cause of a job's death, with its evidence and what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from slurmkit.check.doctor.patient import Patient
    from slurmkit.check.doctor.unpack import Unpacked

_ID = re.compile(r"\d+(_\d+)?")


@click.command("doctor")
@click.argument("job", metavar="[JOB | RUN_DIR]", required=False)
@click.option(
    "--log",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Read this file, or all logs of a directory, of anybody's job; several may follow. "
    "- is standard input.",
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
    files are read: those of anybody's job. An id is always a job's: a directory of that name is
    meant by ./1234, unless it is a run directory.
    """
    if explain is not None:
        click.echo(_explained(explain))
        return
    from slurmkit.check.doctor.diagnose import diagnose
    from slurmkit.check.doctor.unpack import Unpacked

    with tempfile.TemporaryDirectory(prefix="slurmkit-doctor-") as folder:
        unpacked = Unpacked(Path(folder))
        patient = _patient(job, (*files, *more), unpacked)
        found = diagnose(patient.logs, state=patient.state, node=patient.node, word=patient.word)
    found = unpacked.named(found)
    if as_json:
        click.echo(json.dumps(_data(patient, found, unpacked), indent=2, ensure_ascii=False))
        return
    for note in patient.notes:
        click.echo(f"slurmkit: {note}", err=True)
    from slurmkit.check.doctor.text import lines

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    click.echo("\n".join(lines(found, patient.state, width)))


def _patient(job: str | None, files: tuple[Path, ...], unpacked: Unpacked) -> Patient:
    from slurmkit.check.doctor import patient

    if job == "":
        raise click.UsageError("JOB is empty: name a job, a run directory, or files with --log")
    if files:
        return _of_files([Path(job), *files] if job else list(files), unpacked)
    path = Path(job) if job is not None else None
    if job is None or path is None or not os.path.exists(path):  # noqa: PTH110  raises nothing
        return patient.of_job(job)
    if _ID.fullmatch(job) and not patient.is_run(path):
        return patient.of_job(job)
    if not path.is_dir():
        return _of_files([path], unpacked)
    try:
        return patient.of_directory(path, unpacked.readable)
    except FileNotFoundError as error:
        return _of_name(job, error)
    except OSError as error:
        raise _unreadable(error) from None


def _of_files(named: list[Path], unpacked: Unpacked) -> Patient:
    from slurmkit.check.doctor import patient

    try:
        missing = [path for path in named if not path.exists() and str(path) != "-"]
        if missing:
            raise click.UsageError(f"no file {missing[0]}: name the logs of a job")
        return patient.of_files(named, unpacked.readable)
    except FileNotFoundError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> click.UsageError:
    name = error.filename or "a file"
    return click.UsageError(f"cannot read {name}: {error.strerror or error}")


def _of_name(job: str, error: OSError) -> Patient:
    """Return the job of that name, where a directory of that name has no logs."""
    from slurmkit.check.doctor import patient
    from slurmkit.launch.registry import AmbiguousNameError, UnknownJobError

    try:
        return patient.of_job(job)
    except AmbiguousNameError:
        raise
    except UnknownJobError:
        raise click.UsageError(str(error)) from None


def _data(patient: Patient, found: Any, unpacked: Unpacked) -> dict[str, Any]:
    return {
        "job": patient.id,
        "name": patient.name,
        "state": patient.state,
        "files": [unpacked.name(log.path) for log in patient.logs],
        "findings": [verdict.data() for verdict in found.findings],
    }


def _explained(code: str) -> str:
    from slurmkit.check.doctor.cause import by_code
    from slurmkit.check.doctor.text import explained

    cause = by_code().get(code.upper())
    if cause is None or not cause.meaning:
        told = [one for one in by_code().values() if one.meaning]
        told.sort(key=lambda one: int(one.code.lstrip("D")))
        known = "".join(f"\n  {one.code:<5} {one.title}" for one in told)
        raise click.UsageError(f"no cause {code!r}: there are{known}")
    return "\n".join(explained(cause))
