"""Rules on `&` and `wait`, and on loops that start one step a node."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.work import Work, is_job, is_utility, statement, works
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.shell import Command, Loop
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import reads

_PLACING = ("nodelist", "nodefile", "relative", "exclude", "distribution")


def _is_background(work: Work) -> bool:
    """Tell whether a command, or what starts it, runs in the background of the batch shell."""
    return work.command.context.in_background


@rule("SK404")
def no_wait(job: Job) -> Iterator[Found]:
    """A launch in the background that nothing waits for."""
    if not is_job(job):
        return
    found = works(job)
    until, polling = _lasting(job, found)
    for work in found:
        command = work.command
        if not _is_background(work) or command.order < until:
            continue
        if any(
            other.order > command.order
            and not set(other.context.loops) <= set(command.context.loops)
            for other in polling
        ):
            continue
        yield job.found(
            "SK404",
            command.span,
            "the script ends while this runs in the background, and Slurm then kills it",
            edits=_wait_behind(job, command),
        )


def _lasting(job: Job, found: tuple[Work, ...]) -> tuple[float, list[Command]]:
    """Return until when the script surely goes on, and the commands that may poll in a loop."""
    batch = job.script.batch
    until: float = max((w.command.order for w in found if not _is_background(w)), default=0)
    for command in job.script.commands:
        if _lasts(command):
            # in a handler or a function that is called from elsewhere, nobody knows when
            until = max(until, command.order if command.shell is batch else float("inf"))
        elif command.shell is batch and _is_program(command):
            until = max(until, command.order)
    polling = [c for c in batch.commands if any(loop.kind == "while" for loop in c.context.loops)]
    return until, polling[-50:]


def _lasts(command: Command) -> bool:
    """Tell whether a command waits, or goes on for hours."""
    if command.name in ("wait", "fg") or (command.name == "tail" and "-f" in command.source):
        return True
    return command.name == "sleep" and bool(re.search(r"infinity|\d[dh]|\d{4}|\$", command.source))


def _is_program(command: Command) -> bool:
    """Tell whether a command in the foreground may be what the others are started for."""
    context, functions = command.context, command.shell.functions
    if context.in_background or context.in_substitution or command.name in functions:
        return False
    return bool(command.words) and not is_utility(command)


def _wait_behind(job: Job, command: Command) -> tuple[Edit, ...]:
    """Return the edit that waits for a command, where it is one alone at the end of a line."""
    context, source = command.context, job.script.source
    if context.loops or context.functions or context.in_subshell or context.blocks:
        return ()
    if command.shell.text.origins is not None:
        return ()
    end = statement(command.node).end_byte
    match = re.compile(rb"[ \t]*&[ \t]*(?:#[^\n]*)?(\n|\Z)").match(source.data, end)
    if match is None:
        return ()
    text = "wait $!\n" if match[1] else "\nwait $!\n"
    return (Edit(Span(match.end(), match.end()), text),)


@rule("SK405")
def bare_wait(job: Job) -> Iterator[Found]:
    """`wait` without arguments is always 0."""
    batch = job.script.batch
    started = [work.command.order for work in works(job) if _is_background(work)]
    waits = [c for c in batch.commands if c.name == "wait"]
    with_arguments = [c.order for c in waits if len(c.words) > 1]
    kills = [c.order for c in batch.commands if _ends_others(c)]
    before = 0
    for command in waits:
        if len(command.words) > 1:
            continue
        new = [order for order in started if before < order < command.order]
        is_ended = any(new and new[-1] < order < command.order for order in kills)
        if new and not is_ended and not any(order > started[0] for order in with_arguments):
            yield job.found(
                "SK405",
                command.span,
                "`wait` alone returns 0, whatever became of what runs in the background",
            )
        before = command.order


def _ends_others(command: Command) -> bool:
    """`kill $!`: what it ends is no work whose exit status counts; `kill -0` only asks."""
    words = [word.shown for word in command.words[1:2]]
    return command.name in ("kill", "pkill", "killall") and words not in (["-0"], ["-CONT"])


@rule("SK410")
def in_turn(job: Job) -> Iterator[Found]:
    """A loop that starts the nodes one after the other."""
    found = list(_node_loops(job))
    at_once = {loop.node.id for launch, loop in found if _runs_in_background(launch)}
    for launch, loop in found:
        if loop.node.id in at_once:
            continue
        yield job.found(
            "SK410",
            launch.span,
            "the loop waits here for the first node, which waits for nodes that are never started",
        )


def _runs_in_background(launch: Launch) -> bool:
    at: Command | None = launch.command
    while at is not None:
        if at.context.in_background:
            return True
        at = at.shell.starter
    return False


@rule("SK411")
def nowhere(job: Job) -> Iterator[Found]:
    """A loop over the nodes whose steps are not put on their nodes."""
    for launch, _ in _node_loops(job):
        if launch.srun is None or launch.srun_command is None or launch.through != "srun":
            continue
        if any(launch.srun.last(name) is not None for name in _PLACING):
            continue
        yield job.found(
            "SK411",
            launch.layers.words[launch.layers.srun_at].span
            if launch.layers.srun is not None
            else launch.srun_command.span,
            "nothing says on which node this step of the loop runs: all may get the first one",
        )


def _node_loops(job: Job) -> Iterator[tuple[Launch, Loop]]:
    """Return the launches whose rank of the node is what a loop around them counts."""
    for launch in job.launches:
        if launch.through not in ("srun", "ssh") or not launch.is_launcher:
            continue
        if (count := launch.text("nnodes", "num-machines", "num-nodes")) in ("1", "1:1"):
            continue
        option = launch.option("node-rank", "machine-rank")
        if option is None or option.value is None or (count is None and not job.is_multi_node):
            continue
        read = {p.text for p in reads(option.value, launch.command.order, launch.command.context)}
        at: Command | None = launch.command
        while at is not None:
            loop = next((loop for loop in at.context.loops if _counts(loop, read)), None)
            if loop is not None:
                yield launch, loop
                break
            at = at.shell.starter


def _counts(loop: Loop, names: set[str]) -> bool:
    """Tell whether a loop changes one of the variables."""
    if loop.variable in names:
        return True
    if loop.kind == "c-style":
        return any(re.search(rf"\b{re.escape(name)}\b", loop.header) for name in names)
    body = loop.node.child_by_field_name("body")
    text = (body.text or b"").decode(errors="replace") if body is not None else ""
    return any(
        re.search(rf"\b{re.escape(name)}(?:\+\+|\+?=|\s*=)|\+\+{re.escape(name)}\b", text)
        for name in names
        if name.isidentifier()
    )
