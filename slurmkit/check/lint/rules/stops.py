"""Rules on stops and requeues, and on what decides about them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.shell import Command, Shell
from slurmkit.check.script.source import Span
from slurmkit.slurm.scalars import whole

_INTERACTIVE = ("bash", "interactive")


@rule("SK601")
def lightning_name(job: Job) -> Iterator[Found]:
    """A job name that switches Lightning's Slurm detection off."""
    option = job.given("job-name")
    if option is None or option.value not in _INTERACTIVE:
        return
    if not any(_is_parallel(job, launch) for launch in job.launches if launch.kind == "direct"):
        return
    span = option.origins[-1].span
    data = job.script.source.data[span.start : span.end]
    name = option.value.encode()
    place = Span(span.end - len(name), span.end)
    yield job.found(
        "SK601", span, f"Lightning takes a job named {option.value} for no Slurm job",
        edits=[Edit(place, "train")] if data.endswith(name) else (),
    )  # fmt: skip


def _is_parallel(job: Job, launch: Launch) -> bool:
    """Tell whether a launch surely has several tasks."""
    if launch.srun is None:
        return False
    tasks = job.step_tasks_per_node(launch)
    return job.is_multi_node or (tasks or 1) > 1 or (job.value("ntasks") or "1") not in ("1", "")


@rule("SK602")
def srun_wait(job: Job) -> Iterator[Found]:
    """`srun --wait=N` around a training."""
    source = job.script.source
    for launch in job.launches:
        option = launch.srun_option("wait")
        if option is None or not whole(option.value):
            continue
        if not _is_parallel(job, launch):
            continue
        said = option.value or ""
        word = option.origins[-1]
        edits, span = [], word.span
        for piece in reversed(word.pieces):
            data = source.data[piece.span.start : piece.span.end]
            for prefix in (b"--wait=", b"-W", b"--wait ", b"-W ", b""):
                text = prefix + said.encode()
                if data.count(text) == 1 and (prefix or data == text):
                    end = piece.span.start + data.index(text) + len(text)
                    if not source.data[end : end + 1].isalnum():
                        span = Span(end - len(text), end)
                        edits = [Edit(Span(end - len(said), end), "0")]
                    break
        yield job.found(
            "SK602", span, f"{said} s after the first task has ended, srun kills the others",
            edits=edits,
        )  # fmt: skip


@rule("SK603")
def requeue_on_term(job: Job) -> Iterator[Found]:
    """A requeue on SIGTERM, whoever sent it."""
    for command in job.script.commands:
        if not _is_requeue(command):
            continue
        shell = _handler(job, command)
        if shell is None or _asks(job, shell) or _is_for_other(command):
            continue
        yield job.found(
            "SK603", command.span, "a job that its owner cancels is put back into the queue"
        )


def _is_requeue(command: Command) -> bool:
    return command.name == "scontrol" and any(
        word.shown in ("requeue", "requeuehold") for word in command.words[1:3]
    )


def _handler(job: Job, command: Command) -> Shell | None:
    """Return the handler of SIGTERM that a command is part of."""
    at: Shell | None = command.shell
    while at is not None:
        if {"TERM", "15"}.intersection(at.handles):
            return at
        at = at.parent
    if command.shell.where == "unknown" and command.context.functions:
        # The function stands below the trap that names it.
        name = command.context.functions[0]
        for shell in job.script.shells:
            if {"TERM", "15"}.intersection(shell.handles) and shell.text.data.split()[:1] == [
                name.encode()
            ]:
                return command.shell
    return None


def _is_for_other(command: Command) -> bool:
    """Tell whether it stands in a branch that depends on the signal."""
    node = command.node.parent
    while node is not None:
        if node.type in ("if_statement", "case_statement"):
            text = node.text or b""
            head = text.partition(b"then")[0] if node.type == "if_statement" else text
            if re.search(rb"TERM\b|\$\{?(1|sig)", head):
                return True
        node = node.parent
    return False


def _asks(job: Job, handler: Shell) -> bool:
    """Tell whether a handler looks at the job's state."""
    for command in job.script.commands:
        at: Shell | None = command.shell
        while at is not None and at is not handler:
            at = at.parent
        if at is None:
            continue
        asked = [word.shown for word in command.words[1:2]]
        if command.name in ("squeue", "sacct") or (command.name, asked) == ("scontrol", ["show"]):
            return True
    return False


@rule("SK608")
def requeue_of_array(job: Job) -> Iterator[Found]:
    """A task of an array that requeues more than itself."""
    tasks = job.value("array")
    if tasks is None or re.fullmatch(r"(\d+)(-\1)?(%\d+)?", tasks):
        return
    for command in job.script.commands:
        if not _is_requeue(command) or not command.words:
            continue
        last = command.words[-1]
        if len(last.pieces) != 1 or last.pieces[0].kind != "variable":
            continue
        name = last.pieces[0].text
        if name in ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_ARRAY_JOB_ID"):
            yield job.found("SK608", last.span, f"${name} may stand for the whole array")
