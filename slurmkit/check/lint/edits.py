"""Edits that several rules make, each only where the bytes are what they are taken for."""

from __future__ import annotations

import re

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit
from slurmkit.check.script.directives import Line, Piece
from slurmkit.check.script.launches import LaunchOption
from slurmkit.check.script.options import Given
from slurmkit.check.script.shell import Assignment, Shell
from slurmkit.check.script.source import Span
from slurmkit.check.script.words import Word

FIRST_NODE = '$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n1)'
PORT = "$((15000 + SLURM_JOB_ID % 17000))"

_OPTION = re.compile(
    rb"""--?[\w-]+(?:=|[ \t]+|[ \t]*\\\n[ \t]*)"""
    rb"""(?:"[^"\n\\]*"|\\?\$\{\w+\}|\\?\$\w+|[\w./:,-]+)(?=[\s"']|\\\n|$)"""
)


def said(job: Job, span: Span) -> bytes:
    """Return the bytes of the file at a span."""
    return job.script.source.data[span.start : span.end]


def is_top(shell: Shell) -> bool:
    """Tell whether a shell reads the file itself, not a quoted text in it."""
    return shell.text.origins is None


def line_of(job: Job, option: Given[Piece]) -> Line | None:
    """Return the line that a directive stands in; None where it is given to `sbatch` itself."""
    lines, origin = job.script.directives.lines, option.origins[-1]
    is_there = 0 <= origin.line < len(lines)
    return lines[origin.line] if is_there else None


def cut_option(job: Job, option: LaunchOption) -> tuple[Edit, ...]:
    """Take an option out, with its line if it stands alone there; () where it is not plain."""
    data = job.script.source.data
    match = _OPTION.match(data, option.span.start)
    if match is None:
        return ()
    start, end = match.span()
    begin = data.rfind(b"\n", 0, start) + 1
    rest = re.compile(rb"[ \t]*\\\n").match(data, end)
    if not data[begin:start].strip() and rest is not None and data[:begin].endswith(b"\\\n"):
        return (Edit(Span(begin, rest.end()), ""),)
    while end < len(data) and data[end : end + 1] in (b" ", b"\t"):
        end += 1
    return (Edit(Span(start, end), ""),)


def instead(job: Job, assignment: Assignment, text: str) -> tuple[Edit, ...]:
    """Give a plain assignment of the batch script another value; () where it is not plain."""
    value = assignment.value
    if value is None or not value.pieces:
        return ()
    shell = value.pieces[0].shell
    if shell.where != "batch" or not is_top(shell) or value.literal is None:
        return ()
    return _replaced(job, value, text)


def _replaced(job: Job, word: Word, text: str) -> tuple[Edit, ...]:
    written = said(job, word.span)
    if re.fullmatch(rb"""[\w.:-]+|"[\w.:-]+"|'[\w.:-]+'""", written) is None:
        return ()
    return (Edit(word.span, text),)


def instead_in_option(job: Job, option: LaunchOption, old: str, text: str) -> tuple[Edit, ...]:
    """Put something else in the place of a part of an option's plain value in the batch script."""
    value = option.value
    if value is None or not value.pieces or not is_top(value.pieces[0].shell):
        return ()
    at = job.script.source.data.find(old.encode(), value.span.start, value.span.end)
    first = job.script.source.data[value.span.start : value.span.start + 1]
    if at < 0 or first in (b"'", b'"') or value.pieces[0].shell.where != "batch":
        return ()
    return (Edit(Span(at, at + len(old)), f'"{text}"'),)
