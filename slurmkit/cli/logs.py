"""slurmkit logs: what the script and the ranks of a job have written, on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from slurmkit.observe.logs import View


def _reading(function: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that reads an option with a function of the module `view`."""

    def callback(_: click.Context, __: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        from slurmkit.observe.logs import view

        try:
            return getattr(view, function)(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


@click.command("logs")
@click.argument("job", required=False)
@click.option("--last", "use_last", is_flag=True, help="The last job, as when none is named.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option(
    "--rank",
    "ranks",
    metavar="RANKS",
    callback=_reading("read_ranks"),
    help="Only these ranks: 3, or 0,5-7.",
)
@click.option("--node", metavar="NAME", help="Only the ranks of this node.")
@click.option("--all", "everything", is_flag=True, help="All ranks, and the script's own lines.")
@click.option(
    "--grep",
    metavar="RE",
    callback=_reading("read_grep"),
    help="Only lines in which this regular expression is found.",
)
@click.option(
    "-n",
    "--lines",
    metavar="N",
    type=click.IntRange(0),
    help="Only the last N lines so far, in an array of each task.",
)
@click.pass_context
def command(
    ctx: click.Context, /, job: str | None, use_last: bool, follow: bool, **wanted: Any
) -> None:
    """Show what JOB (an id or a name; the last job when none is named) has written.

    Without --rank, --node and --all: the script's own lines, and those of rank 0. Lines are
    ordered by the times that they carry.
    """
    from slurmkit.launch import chosen, registry
    from slurmkit.observe.logs import View

    if job is not None and use_last:
        raise click.UsageError("name a job or say --last, not both")
    if wanted["everything"] and (wanted["ranks"] or wanted["node"]):
        raise click.UsageError("--all shows every rank: leave out --rank and --node")
    entry = chosen.choose(job) if job is not None else registry.last()
    view = View(**{**wanted, "ranks": wanted["ranks"] or ()}, colours=_colours())
    try:
        code = _show(entry, view, follow)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except PermissionError as error:
        raise click.ClickException(
            f"{error.filename} cannot be read: {error.strerror}; ask its owner"
        ) from None
    ctx.exit(code)


def _show(entry: Any, view: View, follow: bool) -> int:
    from slurmkit.observe import logs

    shown, code = follow, 0
    if follow:
        state = logs.follow(entry, view, write=_write, say=_say)
        _say(f"job {entry.id} is {state}: {state.words}")
        code = 0 if state.phase == "good" else 1
    else:
        for block in logs.blocks(entry, view):
            _write(block)
            shown = True
    for hint in logs.hints(logs.located(entry), view, shown=shown):
        _say(hint)
    return code


def _colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _write(block: bytes) -> None:
    stream = sys.stdout.buffer
    stream.write(block)
    stream.flush()


def _say(text: str) -> None:
    click.echo(f"slurmkit: {text}", err=True)
