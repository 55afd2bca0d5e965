"""Ranks that bash puts in on the batch host, where every node's number is 0 (SK301, SK302)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.finding import Severity
from slurmkit.check.lint.edits import cut_option, is_top, said
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.shape import (
    NODE_RANKS,
    backend,
    is_many,
    launcher_nodes,
    said_nodes,
    step_nodes,
)
from slurmkit.check.script.launches import Launch, LaunchOption
from slurmkit.check.script.shell import Shell
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import assigned, reads
from slurmkit.check.script.words import Piece, Word
from slurmkit.slurm.scalars import whole

_NODE_RANK = ("node-rank", "machine-rank")
_EXPORTED = {"RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID"}
_FIX_OF_TASK = (
    "Let a shell in each task read it: `srun bash -c 'export RANK=$SLURM_PROCID "
    "LOCAL_RANK=$SLURM_LOCALID; exec python …'`, or let the program read SLURM_PROCID itself."
)
_FIX_OF_ESCAPED = (
    "The backslash keeps it from the shell that calls sbatch, not from the job's: let a shell on "
    r"the node read it, `srun bash -c 'torchrun --node_rank=\$SLURM_NODEID …'`."
)
_RANK_ARGUMENT = re.compile(r"-+[\w.-]*rank(?:=|$)|[\w.]*\brank=|(?:^|,)(?:LOCAL_)?RANK=", re.I)


@rule("SK301")
def rank_on_the_batch_host(job: Job) -> Iterator[Found]:
    """`srun torchrun --node_rank=$SLURM_PROCID`, `export RANK=$SLURM_PROCID` before srun."""
    if job.is_het:
        return
    for launch in job.launches:
        if not launch.through:
            continue
        if launch.is_launcher:
            yield from _of_launcher(job, launch)
        elif _has_many_tasks(job, launch):
            yield from _of_program(job, launch)


@rule("SK302")
def rank_that_c10d_ignores(job: Job) -> Iterator[Found]:
    """`--rdzv_backend=c10d --node_rank=…`."""
    for launch in job.launches:
        option = launch.option(*_NODE_RANK)
        if option is None or backend(launch) != "c10d":
            continue
        piece = _on_the_batch_host(option.value, launch)
        if piece is None and launch.kind == "accelerate":
            continue
        what = f"{option.written} has no effect with --rdzv_backend=c10d, which hands out the ranks"
        if piece is not None and launch.through:
            what += f"; and ${piece.text} would be 0 on every node: bash puts it in before srun"
        edits = cut_option(job, option) if launch.kind == "torchrun" else ()
        yield job.found("SK302", option.span, what, edits=edits)


def _on_the_batch_host(word: Word | None, launch: Launch) -> Piece | None:
    """Return the per-node variable in a word that the batch script's shell expands."""
    if word is None:
        return None
    found = reads(word, launch.command.order, launch.command.context)
    own = (p for p in found if p.text in NODE_RANKS and p.shell.where == "batch")
    return next((p for p in own if not _is_of_caller(p, launch)), None)


def _is_of_caller(piece: Piece, launch: Launch) -> bool:
    """Tell whether a shell puts it in that calls sbatch, before there is a job (SK616)."""
    at: Shell | None = launch.command.shell
    while at is not None and at is not piece.shell:
        at = at.parent
    return at is None


def _of_launcher(job: Job, launch: Launch) -> Iterator[Found]:
    option = launch.option(*_NODE_RANK)
    piece = _on_the_batch_host(option.value, launch) if option else None
    if option is None or piece is None or backend(launch) == "c10d":
        return
    count = launcher_nodes(job, launch)
    nodes = max(count or 0, said_nodes(job) or 0) or None
    if count == 1 or (nodes is None and is_many(job, launch) is False):
        nodes = 1
    what = (
        f"bash puts ${piece.text} in on the batch host, where it is 0: "
        f"{option.written} is 0 on " + (f"all {nodes} nodes" if nodes else "every node")
    )
    if nodes == 1:
        what = f"{option.written}: bash puts ${piece.text} in on the batch host, where it is 0; "
        what += "on several nodes all would be node 0"
        yield job.found("SK301", option.span, what, severity="info")
        return
    edits = _escaped(job, launch, piece) or _wrapped(job, launch, option)
    severity: Severity = "error" if nodes else "warning"
    fix = _FIX_OF_ESCAPED if b"\\$" in said(job, option.span) else ""
    yield job.found("SK301", option.span, what, fix, severity=severity, edits=edits)


def _has_many_tasks(job: Job, launch: Launch) -> bool:
    tasks = job.step_tasks_per_node(launch)
    nodes = step_nodes(job, launch)
    if tasks is None:
        return (nodes or 0) > 1 or (whole(job.value("ntasks")) or 0) > 1
    return tasks * (nodes or 1) > 1


def _of_program(job: Job, launch: Launch) -> Iterator[Found]:
    """A task a process: its rank in the environment, or among its arguments."""
    for name in _EXPORTED:
        own = next((v for v in launch.command.variables if v.name == name), None)
        found = own or assigned(
            name, launch.command.shell, launch.command.order, launch.command.context
        )
        if found is None or found.value is None:
            continue
        is_seen = found.is_exported or name in job.script.exports
        pieces = reads(found.value, found.order, found.context)
        piece = next((p for p in pieces if p.text in NODE_RANKS), None)
        if piece is not None and piece.shell.where == "batch" and is_seen:
            what = f"{name}=${piece.text} is worked out on the batch host, where it is 0: every "
            what += f"task of srun gets {name}=0"
            edits = _exported(job, launch) if own is None else ()
            yield job.found("SK301", found.span, what, _FIX_OF_TASK, edits=edits)
    words = launch.layers.words
    before = words[launch.layers.srun_at : launch.at] if launch.layers.srun else ()
    for index, word in enumerate((*before, *launch.arguments)):
        piece = _on_the_batch_host(word, launch)
        previous = (*before, *launch.arguments)[index - 1].shown if index else ""
        if piece is None or not _names_rank(word.shown, previous):
            continue
        what = f"bash puts ${piece.text} in on the batch host, where it is 0: every task gets 0"
        edits = _escaped(job, launch, piece)
        yield job.found("SK301", word.span, what, _FIX_OF_TASK, edits=edits)


def _exported(job: Job, launch: Launch) -> tuple[Edit, ...]:
    """A small shell in each task exports them and starts the program."""
    word = launch.layers.words[launch.at]
    text = said(job, word.span)
    is_own = any(word.span == own.span for own in launch.command.words)
    if not is_own or not is_top(launch.command.shell) or not re.fullmatch(rb"[\w./-]+", text):
        return ()
    command = launch.command
    names = (n for n in _EXPORTED if assigned(n, command.shell, command.order, command.context))
    exports = " ".join(f"{name}=${_EXPORTED[name]}" for name in names)
    inner = f"""bash -c 'export {exports}; exec "$@"' bash """
    return (Edit(Span(word.span.start, word.span.start), inner),)


def _names_rank(word: str, before: str) -> bool:
    if _RANK_ARGUMENT.search(word):
        return True
    return word.startswith("$") and before.endswith("rank") and before.startswith("-")


def _escaped(job: Job, launch: Launch, piece: Piece) -> tuple[Edit, ...]:
    r"""`bash -c "… $SLURM_PROCID …"`: a backslash leaves it to the shell on the node."""
    own = [p for word in launch.command.words for p in word.pieces]
    is_direct = any(p.span == piece.span and p.shell is piece.shell for p in own)
    is_nested = launch.command.shell.where == "node" and piece.shell is not launch.command.shell
    if not is_direct or not is_nested or not said(job, piece.span).startswith(b"$"):
        return ()
    return (Edit(Span(piece.span.start, piece.span.start), "\\"),)


def _wrapped(job: Job, launch: Launch, option: LaunchOption) -> tuple[Edit, ...]:
    """A small shell on each node puts the rank in and hands the rest of the line on."""
    words = launch.layers.words[launch.at :]
    first = next((i for i, w in enumerate(words) if w.shown.startswith("--")), 0)
    head = Span(words[0].span.start, words[first - 1].span.end) if first else None
    shell = launch.command.shell
    if head is None or not is_top(shell) or option.value is None or len(option.value.pieces) != 1:
        return ()
    text = said(job, head).decode(errors="replace")
    variable = option.value.pieces[0]
    is_plain = re.fullmatch(r"[\w./ -]+", text) and variable.text in NODE_RANKS
    cut = cut_option(job, option)
    if not is_plain or not cut or text != " ".join(w.shown for w in words[:first]):
        return ()
    name = option.words[0].shown.partition("=")[0]
    inner = f"""bash -c 'exec {text} {name}="${variable.text}" "$@"' bash"""
    return (Edit(head, inner), *cut)
