"""Which of a script's commands is the training."""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.programs import programs
from slurmkit.check.lint.job import Job
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.layers import SHELLS
from slurmkit.check.script.shell import Command


def choose(job: Job, draft: Draft) -> Launch | None:
    """Return the launch that is the training: the last with a launcher, else the last.

    Of the branches of a condition the first. The other launches are told.
    """
    found = job.launches or list(_others(job)) or list(_last(job))
    if not found:
        return None
    with_launcher = [launch for launch in found if launch.is_launcher]
    over_nodes = [launch for launch in with_launcher or found if launch.through]
    candidates = over_nodes or with_launcher or found
    chosen = candidates[-1]
    for one in candidates:
        if _are_branches(one, chosen):
            chosen = one
            break
    for other in found:
        if other is not chosen and other.command is not chosen.command:
            _tell(job, other, chosen, draft)
    return chosen


def _are_branches(one: Launch, other: Launch) -> bool:
    """Tell whether two launches stand in branches of the same condition."""
    if one is other or one.command.shell is not other.command.shell:
        return False
    at = one.command.node.parent
    while at is not None:
        if at.type in ("if_statement", "case_statement"):
            theirs = other.command.node
            if at.start_byte <= theirs.start_byte < at.end_byte:
                return True
        at = at.parent
    return False


def _tell(job: Job, other: Launch, chosen: Launch, draft: Draft) -> None:
    line = job.script.source.place(other.span.start)[0]
    outermost = [list(around(job.script, one.command))[-1][0] for one in (other, chosen)]
    if outermost[0] is outermost[1] or _are_branches(other, chosen):
        why = "another branch: a job file starts one program, the same on all nodes"
    elif outermost[0].order < outermost[1].order:
        why = "starts a program too: it runs in environment.setup, before the job's own"
    else:
        why = "starts a program behind the job's own: another job"
    draft.note(line, "changed", other.command.source.splitlines()[0], why)


def _others(job: Job) -> Iterator[Launch]:
    """Find programs that are no Python to be seen: `srun ./run.sh`, `bash train.sh`."""
    for command in job.script.commands:
        layers = job.script.layers[command]
        words, context = layers.words[layers.at :], command.context
        if not words or command.nested or context.in_substitution or layers.remote:
            continue
        name = words[0].shown
        is_step = layers.srun is not None and layers.program not in programs("harmless")
        if command.shell.through == "srun" and layers.program:
            is_step |= layers.program not in programs("prepares")
        is_script = not command.shell.starter and name.startswith(("./", "/", "~/"))
        is_script |= layers.program in SHELLS and any(w.shown.endswith(".sh") for w in words)
        if is_step or is_script:
            yield _direct(job, command)


def _last(job: Job) -> Iterator[Launch]:
    """Take the last command of the script that may be a program, whatever it is."""
    for command in reversed(job.script.batch.commands):
        context = command.context
        if context.in_substitution or command.nested or not command.words:
            continue
        layers = job.script.layers[command]
        is_sourced = command.name in ("source", ".") and len(command.words) > 2
        if layers.program and layers.program not in programs("prepares") and not (
            command.name in ("source", ".") and not is_sourced
        ):  # fmt: skip
            yield _direct(job, command)
            return


def _direct(job: Job, command: Command) -> Launch:
    layers = job.script.layers[command]
    words = layers.words[layers.at :]
    return Launch(
        "direct", command, layers, layers.at, (), words[0], tuple(words[1:]), False, (),
        layers.srun, command if layers.srun else None, layers.through, layers.in_container,
    )  # fmt: skip
