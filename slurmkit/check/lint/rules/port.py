"""The port at which the processes meet, and the rendezvous id (SK306, SK307, SK312)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.edits import PORT, is_top, said
from slurmkit.check.lint.interval import interval
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.master import Given, origin, port_pieces, ports, runs_on_many
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.shell import Assignment
from slurmkit.check.script.source import Span
from slurmkit.check.script.words import Piece
from slurmkit.slurm.scalars import whole

_LOWEST, _HIGHEST = 1024, 65535
_FIX_IN_HEREDOC = (
    rf"Derive it from the job, `MASTER_PORT={PORT}`; in a heredoc whose delimiter is not quoted "
    rf"`MASTER_PORT=\{PORT}`."
)
_DRAWN = re.compile(
    r"\bRANDOM\b|\bSRANDOM\b|\bEPOCHSECONDS\b|\$\$|\bBASHPID\b|\bshuf\b|\buuidgen\b|\bdate\b|"
    r"/dev/u?random|/proc/sys/kernel/random|\bmktemp\b|socket\.socket|\bjot\b|get_free_port|"
    r"\brandom\.|\brandint\b"
)


@rule("SK306")
def fixed_port(job: Job) -> Iterator[Found]:
    """`MASTER_PORT=29500`."""
    if job.is_exclusive or job.is_het:
        return
    for given in ports(job):
        pieces = port_pieces(given)
        if len(pieces) != 1:
            continue
        piece = pieces[0]
        text = piece.text if piece.kind == "text" else (piece.default or "")
        text = text.strip().strip("\"'")
        if not 0 < (whole(text) or 0) <= _HIGHEST:
            continue
        what = f"port {text} is the same in every job: two of them on one node collide"
        fix = "" if is_top(job.script.batch) else _FIX_IN_HEREDOC
        yield job.found("SK306", _place(job, given, piece), what, fix, edits=_derived(job, piece))


def _place(job: Job, given: Given, piece: Piece) -> Span:
    """Return where a port stands: in a variable's value it is a part of a longer text."""
    own = given.option.span if given.option is not None else given.span
    if piece.span.end <= piece.span.start:
        return own
    at = job.script.source.data.find(piece.text.encode(), *piece.span)
    is_part = piece.kind == "text" and at >= 0
    return Span(at, at + len(piece.text.encode())) if is_part else piece.span


def _derived(job: Job, piece: Piece) -> tuple[Edit, ...]:
    """Put in a port that is made of the job's id."""
    if piece.kind != "text" or said(job, piece.span).decode(errors="replace") != piece.text:
        return ()
    data = job.script.source.data
    before = data[piece.span.start - 1 : piece.span.start]
    line_start = data.rfind(b"\n", 0, piece.span.start) + 1
    is_raw = before == b"'" or not is_top(piece.shell)
    if is_raw or data[line_start : piece.span.start].count(b"'") % 2:
        return ()
    return (Edit(piece.span, PORT),)


@rule("SK307")
def drawn_on_every_node(job: Job) -> Iterator[Found]:
    """`srun bash -c 'torchrun --rdzv_id=$RANDOM …'`."""
    if not job.is_multi_node or job.is_het:
        return
    for given in ports(job):
        if runs_on_many(job, given):
            yield from _drawn(job, given.label, port_pieces(given), given.span)
    for launch in job.launches:
        option = launch.option("rdzv-id")
        if option is not None and option.value is not None and launch.through:
            command = launch.command
            given = Given(
                "--rdzv_id", option.value, command.order, command.context, command.shell,
                option.span, launch,
            )  # fmt: skip
            if runs_on_many(job, given):
                yield from _drawn(job, given.label, given.pieces(), given.span)


def _drawn(job: Job, label: str, pieces: list[Piece], span: Span) -> Iterator[Found]:
    for piece in pieces:
        shown = "$" + piece.text if piece.kind == "variable" else piece.text
        if piece.kind == "text" or piece.shell.where != "node" or not _DRAWN.search(shown):
            continue
        what = f"{label}: every node draws {shown} for itself, and none meets another"
        yield job.found("SK307", span, what)


@rule("SK312")
def port_out_of_range(job: Job) -> Iterator[Found]:
    """`MASTER_PORT=$RANDOM`."""
    tasks = _array_most(job)
    for given in ports(job):
        pieces = port_pieces(given)
        found = interval(pieces, tasks) if pieces else None
        if found is None:
            continue
        if all(piece.kind == "text" for piece in pieces):
            if found[0] > _HIGHEST:
                what = f"no port has the number {found[0]}: they end with {_HIGHEST}"
                place, edits = _place(job, given, pieces[0]), _derived(job, pieces[0])
                yield job.found("SK312", place, what, edits=edits if len(pieces) == 1 else ())
            continue
        low, high = found
        if low >= _LOWEST and high <= _HIGHEST:
            continue
        shown = "".join(_shown(piece) for piece in pieces)
        label, place = origin(job, given, pieces)
        what = f"{label}: {shown} can be anything from {low} to {high}, "
        what += f"a port is from {_LOWEST} to {_HIGHEST}"
        edits = _whole_value(job, given.assignment)
        yield job.found("SK312", place, what, edits=edits)


def _whole_value(job: Job, assignment: Assignment | None) -> tuple[Edit, ...]:
    value = assignment.value if assignment is not None else None
    if value is None or len(value.pieces) != 1 or not is_top(value.pieces[0].shell):
        return ()
    written = said(job, value.span).strip(b'"')
    piece = value.pieces[0]
    if not written.startswith(b"$") or piece.shell.where != "batch" or piece.kind == "substitution":
        return ()
    return (Edit(value.span, PORT),)


def _shown(piece: Piece) -> str:
    if piece.kind == "text":
        return piece.text
    if piece.kind == "variable":
        return f"${{{piece.text}{piece.operation}}}" if piece.operation else f"${piece.text}"
    return f"$({piece.text})" if piece.kind == "substitution" else f"$(({piece.text}))"


def _array_most(job: Job) -> int:
    text = job.value("array") or ""
    numbers = [int(n) for n in re.findall(r"\d{1,7}", text.partition("%")[0])]
    return max(numbers, default=1000)
