"""SLURM_ variables: not always set, not known, out of date, escaped too often (SK211…SK314)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from slurmkit.check.lint.distance import distance
from slurmkit.check.lint.edits import said
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.reads import Read, reads
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.shape import NODE_RANKS
from slurmkit.check.script.shell import Shell
from slurmkit.check.script.words import Word
from slurmkit.slurm.variables import is_variable, load_variables

_OVER_ESCAPED = re.compile(
    r"\$\{?(SLURM\w*|MASTER_\w+|\w*RANK|WORLD_SIZE|N?NODES|NNODES|RANDOM|HOSTNAME|head_node\w*)\b"
)
_MOST = 2  # letters that a misspelt name differs by


@rule("SK211")
def not_always_set(job: Job) -> Iterator[Found]:
    """`$SLURM_GPUS_PER_NODE` in a job that asks for `--gres=gpu:4`."""
    if not job.script.directives.options or job.is_het:
        return
    known, told = load_variables(), set()
    for read in reads(job):
        row = known.get(read.name)
        if row is None or not row.option or read.name in told or read.is_asked or read.is_told:
            continue
        if _is_given(job, read.name) or read.shell.where == "unknown":
            continue
        given = job.given(row.option)
        what = ""
        if given is not None:
            if _is_type_and_count(read, given.value or ""):
                what = f"{read.name} is {given.value!r} here, type and count, and no number"
        elif not _is_option_of_step(job, read.shell, row.option):
            what = f"{read.name} is only set with --{row.option}, which the job does not give"
            if row.option == "array" and b"--array" in job.script.source.data:
                what = ""
        if what:
            told.add(read.name)
            yield job.found("SK211", read.whole, what)


def _is_type_and_count(read: Read, value: str) -> bool:
    """`--gpus-per-node=a100:4`."""
    is_plain = read.name.startswith("SLURM_GPUS") and not read.operation
    return is_plain and re.fullmatch(r"[A-Za-z][\w.-]*:\d+", value) is not None


def _is_given(job: Job, name: str) -> bool:
    """Tell whether the script sets a variable itself, in any of its shells."""
    if any(name in shell.assignments for shell in job.script.shells):
        return True
    return any(v.name == name for command in job.script.commands for v in command.variables)


def _is_option_of_step(job: Job, shell: Shell, option: str) -> bool:
    """Tell whether the srun around a shell gives the option."""
    at: Shell | None = shell
    while at is not None and at.starter is not None:
        srun = job.script.layers[at.starter].srun
        if srun is not None and srun.last(option) is not None:
            return True
        at = at.parent
    return False


@rule("SK212")
def unknown_variable(job: Job) -> Iterator[Found]:
    """`$SLURM_JOB_NODELIS`."""
    told = set()
    for read in reads(job):
        name = read.name
        if not re.fullmatch(r"SLURM_[A-Z\d_]*[A-Z\d]", name) or is_variable(name) or name in told:
            continue
        if _is_given(job, name) or name in job.script.exports or "@" in read.operation[-1:]:
            continue
        told.add(name)
        near = difflib.get_close_matches(name, [*load_variables()], 1, 0.8)
        letters = distance(name, near[0]) if near else 99
        is_sure = letters <= _MOST and not read.is_asked
        fix = f"Write {near[0]}." if near else ""
        what = f"Slurm sets no {name}" + (f"; there is {near[0]}" if near else "")
        what += ": it is always empty" if not read.is_asked else ": its default always holds"
        severity = "error" if is_sure else "warning"
        yield job.found("SK212", read.whole, what, fix, severity=severity)  # type: ignore[arg-type]


@rule("SK311")
def old_name(job: Job) -> Iterator[Found]:
    """`$SLURM_NODELIST`."""
    known, told = load_variables(), set()
    for read in reads(job):
        row = known.get(read.name)
        if row is None or not row.present_name or read.span in told or _is_given(job, read.name):
            continue
        told.add(read.span)
        what = f"{read.name} is kept for old scripts; its name is {row.present_name}"
        fix, edits = f"Write {row.present_name}.", _renamed(job, read, row.present_name)
        yield job.found("SK311", read.whole, what, fix, edits=edits)


def _renamed(job: Job, read: Read, name: str) -> tuple[Edit, ...]:
    """In a step SLURM_NODELIST is the step's list, so that only the batch script is changed."""
    if read.shell.where != "batch" and read.name != "SLURM_JOBID":
        return ()
    is_same = said(job, read.span) == read.name.encode()
    return (Edit(read.span, name),) if is_same else ()


@rule("SK314")
def escaped_too_often(job: Job) -> Iterator[Found]:
    r"""`srun bash -c '… --rdzv_id=\$SLURM_JOB_ID'`."""
    for launch in job.launches:
        if launch.through == "ssh" and launch.command.shell.where == "batch":
            continue
        words = launch.layers.words[launch.at :]
        for index, word in enumerate(words):
            match = _OVER_ESCAPED.search(word.literal or "") if _is_escaped(job, word) else None
            if match is None or (index and words[index - 1].shown in ("-c", "--command")):
                continue
            what = f"the backslash keeps {match[0]} from being put in: the program gets these "
            fix = ""
            if match[0].strip("${}") in NODE_RANKS and launch.command.shell.where == "batch":
                fix = "Start it by `srun bash -c '…'`: in single quotes each node reads its own."
            yield job.found("SK314", word.span, what + "letters", fix)


def _is_escaped(job: Job, word: Word) -> bool:
    """Tell whether a dollar sign in a word has come out of a backslash and a dollar sign."""
    data = job.script.source.data
    return any(
        piece.kind == "text"
        and piece.text.startswith("$")
        and data[piece.span.start : piece.span.start + 2] == b"\\$"
        for piece in word.pieces
    )
