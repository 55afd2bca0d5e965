"""slurmkit status: my jobs in a table, or one of them in full."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    Look = Callable[[], tuple[str, bool, list[str]]]
    """Gives the text, whether all is over, and warnings."""

_OFTEN = 10.0  # seconds between two looks, unless it is told
_LEAST = 2.0  # Slurm's controller serves everybody: nobody asks it more often than that


@click.command("status")
@click.argument("job", metavar="[JOB]", required=False)
@click.option("--last", "use_last", is_flag=True, help="The job that was submitted last.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C or the job's end.")
@click.option(
    "--every",
    type=click.FloatRange(min=_LEAST),
    metavar="SECONDS",
    help=f"With --watch: how often ({_OFTEN:g}).",
)
@click.option("--json", "as_json", is_flag=True, help="For another program.")
def command(
    job: str | None, use_last: bool, watch: bool, every: float | None, as_json: bool
) -> None:
    """Show your jobs in a table, or JOB (an id or a name) in full."""
    if job is not None and use_last:
        raise click.UsageError("name a job or say --last, not both")
    look = _detail(job, as_json) if job is not None or use_last else _overview(as_json)
    if not watch and every is None:
        text, _, notes = look()
        for note in notes:
            click.echo(f"slurmkit: warning: {note}", err=True)
        click.echo(text)
    else:
        _watch(look, every or _OFTEN)


def _overview(as_json: bool) -> Look:
    from slurmkit.observe.status import overview

    def look() -> tuple[str, bool, list[str]]:
        found = overview()
        if as_json:
            from slurmkit.observe.status_json import overview_data

            return _dump(overview_data(found)), False, found.notes
        from slurmkit.observe.status_text import overview_lines

        return "\n".join(overview_lines(found, _width())), False, found.notes

    return look


def _detail(job: str | None, as_json: bool) -> Look:
    from slurmkit.launch.chosen import choose
    from slurmkit.launch.registry import last
    from slurmkit.observe.status import detail

    entry = last() if job is None else choose(job)

    def look() -> tuple[str, bool, list[str]]:
        found = detail(entry)
        if as_json:
            from slurmkit.observe.status_json import detail_data

            return _dump(detail_data(found)), found.state.is_final, found.notes
        from slurmkit.observe.status_text import detail_lines

        return "\n".join(detail_lines(found, _width())), found.state.is_final, found.notes

    return look


def _watch(look: Look, seconds: float) -> None:
    """Look again and again; a controller that is away is waited for."""
    from slurmkit.slurm.commands import SlurmError

    show = _on_terminal() if sys.stdout.isatty() else _plain
    text = ""
    try:
        while True:
            try:
                text, is_over, notes = look()
                note = "\n".join(notes)
            except SlurmError as error:
                if not text:
                    raise
                note, is_over = str(error), False
            show(text, note)
            if is_over:
                return
            time.sleep(seconds)
    except KeyboardInterrupt:
        pass


def _plain(text: str, note: str) -> None:
    if note:
        click.echo(f"slurmkit: warning: {note}", err=True)
    click.echo(f"{text}\n")
    sys.stdout.flush()


def _on_terminal() -> Callable[[str, str], None]:
    import atexit

    from rich.live import Live
    from rich.text import Text

    live = Live(auto_refresh=False, transient=False)
    live.start()
    atexit.register(live.stop)

    def show(text: str, note: str) -> None:
        stamp = time.strftime("%H:%M:%S")
        live.update(
            Text(f"{text}\n\n{note or stamp}", no_wrap=True, overflow="ellipsis"), refresh=True
        )

    return show


def _dump(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
