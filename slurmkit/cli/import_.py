"""slurmkit import: somebody's sbatch script as a job file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slurmkit.cli.arguments import late_imports, write_text

if TYPE_CHECKING:
    from slurmkit.check.importer.draft import Note

_TITLES = {
    "changed": "to look at",
    "still": "still so in the job file, as `slurmkit lint` warned",
    "fixed": "was an error, and is none any more",
    "kept": "kept as it stands, in environment.setup",
    "moved": "done by slurmkit itself now",
    "dropped": "left out",
}
_GROUPED = ("moved", "dropped")
_MOST = 72  # characters of what stands in the script


@click.command("import")
@click.argument("script", type=click.Path(path_type=Path, allow_dash=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here.")
@click.option("--quiet", "-q", is_flag=True, help="Tell only what has to be looked at.")
def command(script: Path, output: Path | None, quiet: bool) -> None:
    """Turn SCRIPT (- reads standard input) into a job file, on standard output."""
    with late_imports():
        from slurmkit.check.importer.refuse import NotImportedError
        from slurmkit.check.importer.run import import_script
        from slurmkit.check.importer.write import printable

    try:
        data = sys.stdin.buffer.read() if str(script) == "-" else script.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{printable(str(script))}: {error.strerror}") from None
    try:
        imported = import_script(data, str(script))
    except NotImportedError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    write_text(imported.text, output)
    for line in told(printable(str(script)), imported.notes, quiet=quiet):
        click.echo(line, err=True)


def told(script: str, notes: list[Note], *, quiet: bool = False) -> list[str]:
    """Return what there is to say about an import, a line each."""
    lines: list[str] = []
    for kind, title in _TITLES.items():
        found = [note for note in notes if note.kind == kind]
        if kind == "still":  # by their codes: what is asked of Slurm comes first
            found.sort(key=lambda note: note.what)
        if found and (kind in ("changed", "still", "fixed") or not quiet):
            lines.append(f"slurmkit import: {title}:")
            lines += (
                _by_reason(script, found)
                if kind in ("changed", *_GROUPED)
                else [_line(script, n) for n in found]
            )
    return lines


def _line(script: str, note: Note) -> str:
    place = f"{script}:{note.line}" if note.line else "the job file"
    what = _short(note.what)
    if not note.why:
        return f"  {place}: {what}"
    one = f"  {place}: {what}: {note.why}"
    return one if len(one) <= 110 else f"  {place}: {what}\n      {note.why}"


def _by_reason(script: str, notes: list[Note]) -> list[str]:
    """What shares a reason shares a line."""
    lines: list[str] = []
    for why in dict.fromkeys(note.why for note in notes):
        found = [note for note in notes if note.why == why]
        places: dict[str, list[int]] = {}
        for note in found:
            places.setdefault(_short(note.what), []).append(note.line)
        if len(found) == 1 and found[0].kind not in _GROUPED:
            lines.append(_line(script, found[0]))
        else:
            whats = ", ".join(f"{what} ({_lines(at)})" for what, at in places.items())
            lines.append(f"  {whats}: {why}")
    return lines


def _lines(at: list[int]) -> str:
    numbers = [str(line) for line in dict.fromkeys(at)]
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def _short(text: str) -> str:
    """Cut what stands in the script, between two words; what lint says of it stays whole."""
    if len(text) <= _MOST or re.match(r"SK\d{3}: ", text):
        return text
    begin = text[: _MOST - 3]
    words = begin.rpartition(" ")[0]
    return f"{words if len(words) > _MOST // 2 else begin}..."
