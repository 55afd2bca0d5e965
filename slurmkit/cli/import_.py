"""slurmkit import: somebody's sbatch script as a job file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slurmkit.cli.arguments import late_imports

if TYPE_CHECKING:
    from slurmkit.check.importer.draft import Note

_TITLES = {
    "changed": "to look at",
    "fixed": "was an error, and is none any more",
    "kept": "kept as it stands, in environment.setup",
    "moved": "done by slurmkit itself now",
    "dropped": "left out",
}


@click.command("import")
@click.argument("script", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--quiet", "-q", is_flag=True, help="Tell only what has to be looked at.")
def command(script: Path, quiet: bool) -> None:
    """Turn SCRIPT (- reads standard input) into a job file, on standard output."""
    with late_imports():
        from slurmkit.check.importer.run import NotImportedError, import_script

    try:
        data = sys.stdin.buffer.read() if str(script) == "-" else script.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{script}: {error.strerror}") from None
    try:
        imported = import_script(data, str(script))
    except NotImportedError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    click.echo(imported.text, nl=False)
    for kind, title in _TITLES.items():
        notes = [note for note in imported.notes if note.kind == kind]
        if notes and (kind in ("changed", "fixed") or not quiet):
            _tell(script, title, notes)


def _tell(script: Path, title: str, notes: list[Note]) -> None:
    click.echo(f"slurmkit import: {title}:", err=True)
    for note in notes:
        place = f"{script}:{note.line}" if note.line else "the job file"
        what = note.what if len(note.what) <= 70 else f"{note.what[:67]}..."
        click.echo(f"  {place}: {what}\n      {note.why}", err=True)
