"""slurmkit lint: what is wrong with sbatch scripts, anybody's."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from slurmkit.check.lint.rule import Found
    from slurmkit.check.script.source import Source

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    info: bool
    fix: bool
    diff: bool
    as_json: bool
    slurm_version: tuple[int, int] | None


@dataclass(frozen=True)
class Linted:
    """A script, and what is wrong with it in the end."""

    source: Source
    found: list[Found]
    """Infos only where they are asked for."""
    hidden: int
    """Infos that are not shown."""
    after: bytes
    """The script with its fixes; where none are asked for, as it is."""
    fixed: tuple[Found, ...] = ()


@click.command("lint")
@click.argument("scripts", metavar="SCRIPT...", nargs=-1, type=click.Path(allow_dash=True))
@click.option("--info", is_flag=True, help="Also tell matters of style and portability.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--json", "as_json", is_flag=True, help="For another program.")
@click.option("--fix", is_flag=True, help="Mend what can be mended safely, in the file itself.")
@click.option("--diff", is_flag=True, help="Show what --fix would change; change nothing.")
@click.option("--explain", "code", metavar="CODE", help="Say all about a rule, such as SK301.")
@click.option("--slurm-version", metavar="V", help="The cluster's, such as 24.11; some rules ask.")
def command(  # noqa: PLR0913  an argument an option
    *,
    scripts: tuple[str, ...],
    info: bool,
    strict: bool,
    as_json: bool,
    fix: bool,
    diff: bool,
    code: str | None,
    slurm_version: str | None,
) -> None:
    """Say what is wrong with SCRIPT (- reads standard input), without running it.

    Any sbatch script will do. A comment `# slurmkit: ignore=SK301` on a line, or alone on the line
    above, silences a rule there; above the first directive it does so for the whole file.
    """
    if code is not None:
        _explain(code)
        return
    if not scripts:
        raise click.UsageError("name a script, or - for standard input")
    if diff and as_json:
        raise click.UsageError("--diff goes without --json")
    options = Options(info, fix and not diff, diff, as_json, _version(slurm_version))
    linted, is_whole = _lint_all(scripts, options)
    if as_json:
        _print_json(linted, is_several=len(scripts) > 1, to_stderr=options.fix and "-" in scripts)
    elif linted:
        _print_text(linted, options)
    from slurmkit.check.lint.report import worst

    gravest = worst([finding for each in linted for finding in each.found])
    is_bad = gravest == "error" or (strict and gravest == "warning")
    sys.exit(2 if not is_whole else 1 if is_bad else 0)


def _explain(code: str) -> None:
    from slurmkit.check.lint.explain import UnknownRuleError, explain, find

    try:
        click.echo(explain(find(code)))
    except UnknownRuleError as error:
        raise click.UsageError(str(error)) from None


def _version(text: str | None) -> tuple[int, int] | None:
    from slurmkit.slurm.scalars import GrammarError, parse_version

    try:
        return parse_version(text) if text is not None else None
    except GrammarError as error:
        raise click.UsageError(f"--slurm-version {error}") from None


def _lint_all(scripts: tuple[str, ...], options: Options) -> tuple[list[Linted], bool]:
    """Lint all scripts that can be read; tell whether that was all of them."""
    linted: list[Linted] = []
    is_whole = True
    for name in dict.fromkeys(scripts):
        try:
            data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            click.echo(f"slurmkit: {name} cannot be read: {error.strerror}", err=True)
            is_whole = False
            continue
        one = _lint(data, name, options)
        linted.append(one)
        if options.fix:
            is_whole &= _write(name, data, one.after)
    return linted, is_whole


def _write(name: str, before: bytes, after: bytes) -> bool:
    """Put a mended script where it came from; tell whether that went well."""
    if name == "-":
        click.echo(after, nl=False)
    elif after != before:
        from slurmkit.check.lint.fixes import write

        try:
            write(Path(name), after)
        except OSError as error:
            click.echo(f"slurmkit: {name} cannot be written: {error.strerror}", err=True)
            return False
    return True


def _lint(data: bytes, name: str, options: Options) -> Linted:
    from slurmkit.check.lint.fixes import Fixed, fix
    from slurmkit.check.lint.run import lint
    from slurmkit.check.script.source import Source

    shown = "stdin" if name == "-" else name

    def look(script: bytes) -> list[Found]:
        found = lint(script, shown, options.slurm_version)
        return [f for f in found if options.info or f.severity != "info"]

    mended = fix(data, look) if options.fix or options.diff else Fixed(data)
    now = mended.data if options.fix else data
    everything = lint(now, shown, options.slurm_version)
    found = [f for f in everything if options.info or f.severity != "info"]
    hidden = len(everything) - len(found)
    return Linted(Source(now, shown), found, hidden, mended.data, mended.done)


def _print_json(linted: list[Linted], *, is_several: bool, to_stderr: bool) -> None:
    from slurmkit.check.lint.report import as_data

    rows = []
    for one in linted:
        for finding in one.found:
            row = as_data(finding, one.source)
            rows.append({**row, "file": one.source.name} if is_several else row)
    click.echo(json.dumps(rows, indent=2, ensure_ascii=False), err=to_stderr)


def _print_text(linted: list[Linted], options: Options) -> None:
    from slurmkit.check.lint import report

    told: set[str] = set()
    for one in linted:
        if options.diff:
            _print_diff(one)
            continue
        for finding in one.fixed:
            click.echo(f"{finding.place}: fixed {finding.code}: {finding.what}", err=True)
        for finding in one.found:
            reason = report.reason(finding)
            rows = report.text(finding, one.source, with_reason=reason not in told)
            head = click.style(rows[0], fg=_COLOURS[finding.severity], bold=True)
            is_answer = not (options.fix and one.source.name == "stdin")
            click.echo("\n".join([head, *rows[1:], ""]), err=not is_answer)
            told.add(reason)
    found = [finding for one in linted for finding in one.found]
    line = report.summary(found, len(linted), sum(one.hidden for one in linted))
    fixed = sum(len(one.fixed) for one in linted)
    if options.diff or options.fix:
        line += f"; {'--fix would mend' if options.diff else 'mended'} {fixed}"
    click.echo(line, err=True)


def _print_diff(one: Linted) -> None:
    from slurmkit.check.lint.fixes import diff

    text = diff(one.source.name, one.source.data, one.after)
    click.echo(text.encode(errors="surrogateescape"), nl=False)
