"""Which of a script's commands is the training."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.programs import programs
from slurmkit.check.importer.whole import as_it_stands, begin, direct
from slurmkit.check.lint.job import Job
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.layers import SHELLS, program_name
from slurmkit.check.script.shell import Command
from slurmkit.check.script.words import resolved_text

_SETS_UP = re.compile(
    r"(uv (sync|pip|venv|lock)|pixi install|poetry install|git|spack|wget|curl)\b"
)


def choose(job: Job, draft: Draft, *, any_program: bool = True) -> Launch | None:
    """Return the launch that is the training: the last with a launcher, else the last.

    Of the branches of a condition the first. The other launches are told.

    Args:
        job: The script.
        draft: The job file in the making.
        any_program: Whether it may be the last command of the script, whatever that is.
    """
    found = job.launches or list(_others(job)) or list(_steps(job))
    if any_program:
        found = found or list(_last(job))
    if not found:
        return None
    with_launcher = [launch for launch in found if launch.is_launcher]
    over_nodes = [launch for launch in with_launcher or found if launch.through]
    candidates = over_nodes or with_launcher or found
    candidates = [one for one in candidates if not _is_of_one(job, one)] or candidates
    chosen = candidates[-1]
    for one in candidates:
        if _are_branches(job, one, chosen):
            chosen = one
            break
    whole = as_it_stands(job, chosen)
    for other in found:
        commands = [command for command, _ in around(job.script, other.command)]
        if other.command is not chosen.command and whole.command not in commands:
            _tell(job, other, chosen, draft)
    return whole


def _are_branches(job: Job, one: Launch, other: Launch) -> bool:
    """Tell whether two launches stand in branches of the same condition."""
    if one.command.shell is not other.command.shell:
        commands = [_outermost(job, launch) for launch in (one, other)]
    else:
        commands = [one.command, other.command]
    if commands[0] is commands[1]:
        return False
    at = commands[0].node.parent
    while at is not None:
        if at.type in ("if_statement", "case_statement"):
            theirs = commands[1].node
            if at.start_byte <= theirs.start_byte < at.end_byte:
                return True
        at = at.parent
    return False


def _outermost(job: Job, launch: Launch) -> Command:
    return list(around(job.script, launch.command))[-1][0]


def _is_of_one(job: Job, launch: Launch) -> bool:
    """Tell whether a step is one task, as what prepares or gathers is: `srun -N 1 -n 1`."""
    tasks, command = launch.srun_option("ntasks"), launch.srun_command
    if tasks is None or command is None or command.context.loops:
        return False
    return job.count(tasks, command.order, command.context) == 1


def _tell(job: Job, other: Launch, chosen: Launch, draft: Draft) -> None:
    line = job.script.source.place(other.span.start)[0]
    outermost = [_outermost(job, one) for one in (other, chosen)]
    if outermost[0] is outermost[1] or _are_branches(job, other, chosen):
        why = "another branch: a job file starts one program, the same on all nodes"
    elif outermost[0].order > outermost[1].order:
        why = "starts a program behind the job's own: another job"
    elif outermost[0].context.in_background:
        why = "runs beside the job's own program: in environment.setup, in the background, until "
        why += "that ends; as a sweep, or a job of its own, it would have its own resources"
    else:
        why = "starts a program too: it runs in environment.setup, before the job's own"
    node = other.command.node
    said = resolved_text(other.command.shell.text, node.start_byte, node.end_byte)
    draft.note(line, "changed", said.splitlines()[0], why)


def _others(job: Job) -> Iterator[Launch]:
    """Find programs that are no Python to be seen: `srun ./run.sh`, `bash train.sh`."""
    for command in job.script.commands:
        layers = job.script.layers[command]
        words, context = layers.words[layers.at :], command.context
        is_known = any(shell.commands for shell in command.nested) and not _is_put_in(command)
        if not words or is_known or context.in_substitution or layers.remote:
            continue
        name = words[0].shown
        program = program_name(layers.words[begin(layers)])
        is_step = layers.srun is not None and program not in programs("harmless")
        if command.shell.through == "srun" and program:
            is_step |= program not in programs("prepares")
        is_script = not command.shell.starter and name.startswith(("./", "/", "~/"))
        is_script |= layers.program in SHELLS and any(w.shown.endswith(".sh") for w in words)
        if is_step or is_script:
            yield direct(job, command)


def _steps(job: Job) -> Iterator[Launch]:
    """Find steps of srun whatever they start: a script whose own commands say nothing."""
    for command in job.script.batch.commands:
        layers = job.script.layers[command]
        is_step = layers.srun is not None and layers.program not in programs("harmless")
        if is_step and layers.at < len(layers.words) and not command.context.in_substitution:
            yield direct(job, command)


def _is_put_in(command: Command) -> bool:
    """Tell whether all that a shell reads is what the script puts in: `bash -c "$(…)"`."""
    within = [one for shell in command.nested for one in shell.commands]
    return all(
        not one.name and all(piece.kind != "text" for word in one.words for piece in word.pieces)
        for one in within
    )


def _last(job: Job) -> Iterator[Launch]:
    """Take the last command of the script that may be a program, whatever it is."""
    for command in reversed(job.script.batch.commands):
        context = command.context
        if context.in_substitution or command.nested or not command.words:
            continue
        layers = job.script.layers[command]
        if layers.at >= len(layers.words):  # `srun -n 4`, and no program
            continue
        program = program_name(layers.words[begin(layers)])
        if _SETS_UP.match(command.source):
            continue
        is_sourced = command.name in ("source", ".") and len(command.words) > 2
        is_sourced = is_sourced and not command.words[1].shown.endswith("activate")
        if program and program not in programs("prepares") and not (
            command.name in ("source", ".") and not is_sourced
        ):  # fmt: skip
            yield direct(job, command)
            return
