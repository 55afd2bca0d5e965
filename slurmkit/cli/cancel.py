"""slurmkit cancel: end jobs, or send them a signal."""

from __future__ import annotations

import signal as signals

import click


def signal_name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return the name of a signal without SIG: of `USR1`, `SIGUSR1` or `10`."""
    if value is None:
        return None
    name = value.upper().removeprefix("SIG")
    try:
        number = int(name) if name.isdecimal() else signals.Signals[f"SIG{name}"]
        return signals.Signals(number).name.removeprefix("SIG")
    except (KeyError, ValueError):
        raise click.BadParameter(f"no signal {value!r}: write a name such as USR1") from None


@click.command("cancel")
@click.argument("jobs", metavar="JOB...", nargs=-1)
@click.option("--last", "use_last", is_flag=True, help="The job that was submitted last.")
@click.option(
    "--signal",
    callback=signal_name,
    metavar="NAME",
    help="Only send this, such as USR1; a program without a handler for it dies of it.",
)
def command(jobs: tuple[str, ...], use_last: bool, signal: str | None) -> None:
    """End each JOB: an id or a name, with _4 behind it for task 4 of an array."""
    if not jobs and not use_last:
        raise click.UsageError("say which: slurmkit cancel 1234, a name, or --last")
    from slurmkit.launch import control
    from slurmkit.launch.chosen import choose_all

    entries = choose_all(jobs, use_last)
    live = []
    for entry, state in zip(entries, control.states(entries), strict=True):
        what = f"job {entry.id}" + (f" ({entry.name})" if entry.name else "")
        if state.is_final:
            click.echo(f"slurmkit: {what} has ended already: {state}", err=True)
        elif signal is not None and state.phase == "waiting":
            raise click.UsageError(f"{what} is {state}: a signal reaches only a job that runs")
        else:
            live.append((entry, what))
    if not live:
        return
    if signal is None:
        control.end([entry for entry, _ in live])
    else:
        control.send([entry for entry, _ in live], signal)
    for _, what in live:
        done = "is cancelled" if signal is None else f"was sent SIG{signal}"
        click.echo(f"slurmkit: {what} {done}", err=True)
