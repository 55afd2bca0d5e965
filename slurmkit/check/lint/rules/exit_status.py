"""Rules on exit statuses that get lost: no `set -e`, pipelines, commands behind the launch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.work import (
    Work,
    before_first_command,
    busy,
    has_shebang_of_sh,
    is_job,
    is_piped,
    is_set,
    is_utility,
    statement,
    works,
)
from slurmkit.check.script.shell import Command
from slurmkit.check.secrets import excerpt

if TYPE_CHECKING:
    from tree_sitter import Node

_PREPARING = ("cd", "module", "ml", "source", ".", "conda", "mamba", "micromamba", "spack", "mkdir")


_HARMLESS = frozenset(
    {"echo", "printf", "date", "hostname", "pwd", "whoami", "env",
     "printenv", "sleep", "wait", "true", ":", "nvidia-smi", "ulimit", "unset", "uname", "lscpu"}
)  # fmt: skip
"""Commands whose failure, if ever, takes nothing from what follows."""


@rule("SK401")
def no_errexit(job: Job) -> Iterator[Found]:
    """No `set -e`."""
    last = max((work.command.order for work in works(job)), default=0)
    if not last or not is_job(job) or is_set(job.script.batch, "errexit", last):
        return
    before = [
        c
        for c in job.script.batch.commands
        if c.order < last
        and not c.context.is_guarded
        and not c.context.in_substitution
        and c.name not in ("exit", "return", "set", "trap")
    ]
    telling = [c for c in before if c.name not in _HARMLESS]
    risky = next((c for c in before if c.name in _PREPARING), next(iter(telling or before), None))
    if risky is None:
        return
    name = f"`{risky.name}`" if risky in telling and risky.name else "a command"
    yield job.found("SK401", risky.span, f"where {name} fails, the script goes on all the same")


@rule("SK402")
def piped(job: Job) -> Iterator[Found]:
    """The launch is piped, without pipefail."""
    text = job.script.batch.text.data
    if b"PIPESTATUS" in text or b"pipestatus" in text:
        return
    is_first = True
    for command in busy(job):
        if not is_piped(command) or is_set(command.shell, "pipefail", command.order):
            continue
        is_batch = command.shell is job.script.batch
        edits: tuple[Edit, ...] = ()
        if is_batch and is_first and _may_have_pipefail(job, command):
            edits = before_first_command(job, "set -o pipefail")
            is_first = False
        yield job.found(
            "SK402",
            command.span,
            f"the pipe's last command decides the exit status, not {_name(command)}",
            edits=edits,
        )


def _may_have_pipefail(job: Job, command: Command) -> bool:
    """Tell whether pipefail changes nothing else: under `set -e`, `| grep` may end the script."""
    if has_shebang_of_sh(job):
        return False
    return not is_set(command.shell, "errexit", command.order) or not any(
        c.name in ("grep", "egrep", "head", "diff") and c.pipeline
        for c in job.script.batch.commands
    )


def _name(command: Command) -> str:
    return f"`{command.name}`" if command.name else "the program"


@rule("SK416")
def head_under_pipefail(job: Job) -> Iterator[Found]:
    """`| head -n1` closes the pipe early."""
    for command in job.script.commands:
        if command.name != "head" or command.at_in_pipeline == 0 or command.context.is_guarded:
            continue
        if command.shell.where != "unknown" and is_set(command.shell, "pipefail", command.order):
            yield job.found(
                "SK416",
                command.span,
                "head closes the pipe early; with pipefail the writer's SIGPIPE (141) counts",
            )


@rule("SK424")
def replaced(job: Job) -> Iterator[Found]:
    """What comes behind the launch decides the job's exit status."""
    found = works(job)
    if not found or not is_job(job):
        return
    command = _waited(job, found[-1])
    context = command.context
    later = _later(job, command)
    if (
        not later
        or context.is_guarded
        or context.in_background
        or context.loops
        or is_set(job.script.batch, "errexit", command.order)
        or _is_kept(job, command)
    ):
        return
    last = later[-1]
    if not is_utility(last) and _is_one_of_many(found[-1]):
        return  # programs one after the other, of which this may be the job's
    yield job.found(
        "SK424",
        command.span,
        f"the job's exit status is that of `{excerpt(last.source, 60)}` in line "
        f"{job.script.source.place(last.span.start)[0]}, whatever becomes of the launch",
    )


def _is_one_of_many(work: Work) -> bool:
    """Tell whether a launch is `python a.py` in the batch shell, as good as any other program."""
    return work.launch is not None and work.launch.kind == "direct" and not work.launch.through


def _waited(job: Job, work: Work) -> Command:
    """Return the command that has the launch's status: of one in the background, `wait ID`."""
    if not work.command.context.in_background:
        return work.command
    waits = [
        c
        for c in job.script.batch.commands
        if c.name == "wait" and len(c.words) == 2 and c.order > work.command.order
    ]
    is_plain = len(waits) == 1 and not waits[0].context.functions
    return waits[0] if is_plain else work.command


def _later(job: Job, command: Command) -> list[Command]:
    """Return the commands that run behind the launch and replace its status."""
    own = statement(command.node)
    parents = _clauses(job.script.batch.root)
    return [
        c
        for c in job.script.batch.commands
        if c.order > command.order
        and not c.context.in_substitution
        and not (own.start_byte <= c.node.start_byte < own.end_byte)
        and not _is_other_branch(command.context.blocks, c.context.blocks, parents)
    ]


def _is_kept(job: Job, work: Command) -> bool:
    """Tell whether the script looks at the status behind the launch, or has a trap for errors."""
    for command in job.script.batch.commands:
        words = [word.shown for word in command.words[1:]]
        if command.name == "trap" and "ERR" in words[1:]:
            return True
        if command.order <= work.order:
            continue
        if command.name in ("exit", "return") and words and words[0] != "0":
            return True
        if command.name in ("scancel", "wait") and words:
            return True
    return False


def _clauses(root: Node | None) -> dict[int, int]:
    """Return the branches of ifs and cases, each with the statement that it belongs to."""
    found: dict[int, int] = {}
    stack = [root] if root is not None else []
    while stack:
        node = stack.pop()
        for child in node.children:
            if child.type in ("elif_clause", "else_clause", "case_item"):
                found[child.id] = node.id
            if child.child_count:
                stack.append(child)
    return found


def _is_other_branch(
    first: tuple[int, ...], second: tuple[int, ...], parents: dict[int, int]
) -> bool:
    """Tell whether of two commands at most one runs, being in two branches of one statement."""
    for a, b in zip(first, second, strict=False):
        if a != b:
            return parents.get(a, a) == parents.get(b, b)
    return False
