"""From a script to a job file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from slurmkit.check.importer.directives import read_directives
from slurmkit.check.importer.draft import Draft, Note
from slurmkit.check.importer.exports import export
from slurmkit.check.importer.launch import processes_per_node, read_launch
from slurmkit.check.importer.statements import HARMLESS, Origin, Statements
from slurmkit.check.importer.values import Values
from slurmkit.check.importer.verify import verify
from slurmkit.check.importer.write import write
from slurmkit.check.lint.job import Job
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.layers import SHELLS
from slurmkit.check.script.read import Script, read
from slurmkit.check.script.source import Span


@dataclass(frozen=True)
class Imported:
    """A job file, and what became of the script's parts."""

    text: str
    """The job file, as YAML."""
    notes: list[Note]


class NotImportedError(ValueError):
    """A script that cannot be a job file, with the reason and what to do."""


def import_script(data: bytes, name: str = "-") -> Imported:
    """Turn a script into a job file.

    Raises:
        NotImportedError: the script starts no program that can be told, or is several jobs.
    """
    script = read(data, name)
    job = Job(script)
    if not job.launches and len(script.inner) == 1 and Job(script.inner[0]).launches:
        script = script.inner[0]
        job = Job(script)
    if job.is_het:
        raise NotImportedError(
            f"{name}: a heterogeneous job (`#SBATCH hetjob`); a job file describes nodes of one "
            "kind: import each part by itself"
        )
    draft = Draft(name=PurePath(name).name if name != "-" else "job")
    values = Values(draft, script.source)
    launch = _chosen(job, draft)
    tasks = processes_per_node(job, launch) if launch and launch.kind == "direct" else None
    _loops(launch, script, draft)
    read_launch(job, launch, draft, values)
    read_directives(job, draft, tasks or job.tasks_per_node or 1)
    Statements(job, draft, values, _origin(script, launch)).read()
    _variables(job, launch, draft, values)
    text = write(draft, name)
    notes = [*draft.notes, *verify(text, data, name)]
    return Imported(text, sorted(notes, key=lambda note: note.line))


def _chosen(job: Job, draft: Draft) -> Launch:
    """Return the launch that is the training: the last with a launcher, else the last."""
    found = job.launches or list(_others(job))
    if not found:
        raise NotImportedError(
            f"{job.script.source.name}: starts no program that can be told (torchrun, accelerate, "
            "deepspeed, srun, a script); `slurmkit init` drafts a job file to fill in"
        )
    with_launcher = [launch for launch in found if launch.is_launcher]
    over_nodes = [launch for launch in with_launcher or found if launch.through]
    chosen = (over_nodes or with_launcher or found)[-1]
    for other in found:
        if other is not chosen and other.command is not chosen.command:
            line = job.script.source.place(other.span.start)[0]
            words = other.command.source.splitlines()[0]
            if other.is_launcher == chosen.is_launcher and other.through == chosen.through:
                why = "a job file starts one program; this one is another job"
                draft.note(line, "changed", words, why)
    return chosen


def _others(job: Job) -> Iterator[Launch]:
    """Find programs that are no Python to be seen: `srun ./run.sh`, `bash train.sh`."""
    for command in job.script.commands:
        layers = job.script.layers[command]
        words, context = layers.words[layers.at :], command.context
        if not words or command.nested or context.in_substitution or layers.remote:
            continue
        name = words[0].shown
        is_step = layers.srun is not None and layers.program not in HARMLESS
        is_script = not command.shell.starter and name.startswith(("./", "/", "~/"))
        is_script |= layers.program in SHELLS and any(w.shown.endswith(".sh") for w in words)
        if is_step or is_script:
            yield Launch(
                "direct", command, layers, layers.at, (), words[0], tuple(words[1:]), False, (),
                layers.srun, command if layers.srun else None, layers.through, layers.in_container,
            )  # fmt: skip


def _origin(script: Script, launch: Launch) -> Origin:
    """Return where the launch begins in the batch script: its outermost command, or its call."""
    commands = [command for command, _ in around(script, launch.command)]
    begin = commands[-1]
    functions = {name for command in commands for name in command.context.functions}
    if begin.context.functions:
        name = begin.context.functions[0]
        calls = [
            command
            for command in script.commands
            if command.name == name and not command.context.functions
            and command.shell is script.batch and command.order < begin.order
        ]  # fmt: skip
        commands += calls[-1:]
        begin = calls[-1] if calls else begin
    words = [word for command in commands for word in command.words]
    names = {piece.text for word in words for piece in word.variables}
    return Origin(Span(begin.node.start_byte, begin.node.end_byte), functions, names)


def _loops(launch: Launch, script: Script, draft: Draft) -> None:
    """`for seed in 1 2 3`: the values become a sweep, a job of the array each."""
    for command, _ in around(script, launch.command):
        read = {piece.text for word in command.words for piece in word.variables}
        read |= {p.text for word in launch.arguments for p in word.variables}
        for loop in command.context.loops:
            values = [word.literal for word in loop.words]
            is_list = loop.kind == "for" and values and None not in values
            line = script.source.place(command.shell.text.span(loop.node.start_byte, 0).start)[0]
            if not is_list or loop.variable not in read or "sweep" in draft.fields:
                continue
            draft.put("sweep", f"environment.variables.{loop.variable}", values)
            draft.set("environment", "variables", loop.variable, values[0])
            draft.swept.add(loop.variable)
            why = "one after the other; as a sweep each value is a task of a job array"
            draft.note(line, "changed", f"a loop over {loop.variable}", why)


def _variables(job: Job, launch: Launch, draft: Draft, values: Values) -> None:
    """NAME=value in front of the launch, and exports of the shells around it."""
    from slurmkit.spec.reserved import reserved

    for command, _ in around(job.script, launch.command):
        line = job.script.source.place(command.span.start)[0]
        given = list(command.variables)
        if command.shell is not job.script.batch:
            given += [a for every in command.shell.assignments.values() for a in every]
            _inner(job, command.shell, launch, draft)
        for one in given:
            if not one.name.isidentifier():
                continue
            if one.value is None or reserved(one.name):
                draft.note(line, "dropped", one.name, reserved(one.name) or "not known")
            elif one.is_exported:
                export(one, draft, values, line)


def _inner(job: Job, shell: object, launch: Launch, draft: Draft) -> None:
    """Commands beside the launch in a `bash -c '…'`: they ran on every node."""
    for command in job.script.commands:
        if command.shell is not shell or command is launch.command or command.nested:
            continue
        line = job.script.source.place(command.span.start)[0]
        if command.name in HARMLESS or command.context.in_substitution:
            draft.note(line, "dropped", command.source, "only prints, or is slurmkit's now")
            continue
        draft.setup.append(command.source)
        why = "ran on every node; in setup it runs on the first, before the launch"
        draft.note(line, "changed", command.source, why)
