"""From a script to a job file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath

from slurmkit.check.importer.choose import choose
from slurmkit.check.importer.container import read_container
from slurmkit.check.importer.directives import asked_tasks, int_of, read_directives
from slurmkit.check.importer.draft import Draft, Kept, Note
from slurmkit.check.importer.inner import read_inner, read_variables
from slurmkit.check.importer.late import with_late
from slurmkit.check.importer.launch import processes_per_node, read_launch
from slurmkit.check.importer.loops import read_loops
from slurmkit.check.importer.names import ARRAY_VARIABLE, read_in
from slurmkit.check.importer.refuse import (
    NotImportedError,
    refuse,
    refuse_other_shell,
    refuse_without_launch,
)
from slurmkit.check.importer.statements import Origin, Statements
from slurmkit.check.importer.step import read_input, read_step, read_wrappers
from slurmkit.check.importer.values import Values, World
from slurmkit.check.importer.verify import verify
from slurmkit.check.importer.write import printable, write
from slurmkit.check.lint.job import Job
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.read import Script, read
from slurmkit.check.script.source import Span

_ENDINGS = (".sh", ".sbatch", ".slurm", ".job", ".bash", ".sub", ".slm")


@dataclass(frozen=True)
class Imported:
    """A job file, and what became of the script's parts."""

    text: str
    """The job file, as YAML."""
    notes: list[Note]


def import_script(data: bytes, name: str = "-") -> Imported:
    """Turn a script into a job file.

    Raises:
        NotImportedError: the script starts no program that can be told, is several jobs, or is
            none that bash can read.
    """
    called = _name(name)
    name = printable(name)
    script = read(data, name)
    job = Job(script)
    refuse(job)
    if not job.launches and len(script.inner) == 1 and Job(script.inner[0]).launches:
        script = script.inner[0]
        job = Job(script)
        refuse(job)
    if script.batch.root is None:
        refuse_other_shell(script)
    if job.is_het:
        raise NotImportedError(
            f"{name}: a heterogeneous job (`#SBATCH hetjob`); a job file describes nodes of one "
            "kind: import each part by itself"
        )
    draft = Draft(name=called)
    job = with_late(job, draft)
    _login(script, draft)
    _other_schedulers(script, draft)
    launch = choose(job, draft, any_program=False)
    if launch is None:
        bold = with_late(Job(read(data, name, takes_branches=True)), draft)
        launch = choose(bold, draft, any_program=False)
        if launch is None:
            launch = choose(job, draft)
        else:
            job = bold
            _tell_of_branches(job, launch, draft)
    if launch is None:
        refuse_without_launch(job)
    _fill(job, launch, draft)
    text = write(draft, PurePath(name).name)
    notes = [*draft.notes, *verify(text, data, name)]
    return Imported(text, sorted(notes, key=lambda note: note.line))


def _name(name: str) -> str:
    """Slurm takes the file's name; its ending says nothing to anybody."""
    last = PurePath(name).name
    ending = next((e for e in _ENDINGS if last.endswith(e) and last != e), "")
    last = last.removesuffix(ending) if name != "-" else "job"
    return "".join(char if char.isprintable() else "_" for char in last)


def _login(script: Script, draft: Draft) -> None:
    """`#!/bin/bash -l`: sbatch hands on the environment of a login shell, as a rule."""
    first = script.source.line_text(1)
    if re.match(r"#!\S+.*\s(-\w*l\w*|--login)(\s|$)", first):
        why = "read /etc/profile and your own profile first; sbatch hands on the environment that "
        why += "you submit from: if that lacks something, put `source /etc/profile` into setup"
        draft.note(1, "changed", first, why)


def _other_schedulers(script: Script, draft: Draft) -> None:
    """`#PBS -l nodes=2`: Slurm reads some of it, and a job file none."""
    for number, text in enumerate(script.source.data.decode(errors="replace").splitlines(), 1):
        if re.match(r"#(PBS|BSUB|COBALT|FLUX:|\$ ?-)", text):
            why = "of another scheduler: write under `resources` what it asks for"
            draft.note(number, "changed", text, why)


def _tell_of_branches(job: Job, launch: Launch, draft: Draft) -> None:
    """Variables of the launch that get their values in conditions."""
    outer = list(around(job.script, launch.command))[-1][0]
    read = _with_parts(job.script, {p.text for word in outer.words for p in word.variables})
    for name in sorted(read):
        given = job.script.batch.assignments.get(name, ())
        if given and given[-1].context.blocks:
            line = job.script.source.place(given[-1].span.start)[0]
            why = "is given a value in a condition: taken as it is given here, whatever the others"
            if given[-1].is_appended:
                why = "grows in a condition: what it grows by is left out"
            draft.note(line, "changed", f"${name}", why)


def _fill(job: Job, launch: Launch, draft: Draft) -> None:
    script = job.script
    tasks = processes_per_node(job, launch)
    is_direct = launch.kind == "direct"
    values = Values(draft, script.source, World(job.nodes or 1, tasks, is_direct))
    line = script.source.place(launch.span.start)[0]
    read_loops(launch, script, draft)
    inner = read_inner(script, launch, draft)
    read_launch(job, launch, draft, values, inner.prelude)
    read_step(draft, launch, line)
    read_input(draft, launch, line)
    read_container(script, launch, draft, values)
    activated = read_wrappers(script, draft, launch, line)
    read_directives(job, draft, max(asked_tasks(job), tasks if is_direct else 1))
    in_front = read_variables(script, launch, draft, values)
    Statements(job, draft, values, _origin(script, launch)).read()
    for name, text in in_front.items():
        draft.set("environment", "variables", name, text)
    draft.setup += [*(Kept(text) for text in activated), *inner.setup]
    _as_slurm_had_it(job, draft)
    _count_as_before(draft)


def _origin(script: Script, launch: Launch) -> Origin:
    """Return where the launch begins in the batch script: its outermost command, or its call."""
    commands = [command for command, _ in around(script, launch.command)]
    begin = commands[-1]
    inside, body = None, None
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
        if calls:
            inside = Span(begin.node.start_byte, begin.node.end_byte)
            body = script.batch.functions.get(begin.context.functions[-1])
            begin = calls[-1]
    words = [word for command in commands for word in command.words]
    read = _with_parts(script, {piece.text for word in words for piece in word.variables})
    return Origin(Span(begin.node.start_byte, begin.node.end_byte), functions, read, body, inside)


def _with_parts(script: Script, read: Iterable[str]) -> set[str]:
    """Return variables and those that their values are made of."""
    found: set[str] = set()
    todo = list(read)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        for one in script.batch.assignments.get(name, ()):
            words = [*((one.value,) if one.value is not None else ()), *(one.items or ())]
            todo += [piece.text for word in words for piece in word.variables]
    return found


def _as_slurm_had_it(job: Job, draft: Draft) -> None:
    """What slurmkit unsets before its own srun, and setup reads."""
    per_node = job.value("ntasks-per-node") or ""
    tasks = job.value("ntasks") or (
        str((job.nodes or 1) * int_of(per_node)) if int_of(per_node) else None
    )
    known = {
        "SLURM_CPUS_PER_TASK": job.value("cpus-per-task"), "SLURM_NTASKS": tasks,
        "SLURM_NPROCS": tasks, "SLURM_NTASKS_PER_NODE": per_node,
        "SLURM_GPUS_PER_NODE": job.value("gpus-per-node"),
    }  # fmt: skip
    read = {name for line in draft.setup for name in read_in(line.text)}
    given = [f"{name}={value}" for name, value in known.items()
             if name in read and value and re.fullmatch(r"[\w:]+", value)]  # fmt: skip
    if given:
        draft.setup.insert(0, Kept(" ".join(given), "as Slurm sets it for the script's directives"))


def _count_as_before(draft: Draft) -> None:
    """A sweep counts its tasks from 0: what the script read is in a variable of its own."""
    sweep = draft.fields.get("sweep", {})
    indices = sweep.get(f"environment.variables.{ARRAY_VARIABLE}")
    reads = any("SLURM_ARRAY_TASK_ID" in line.text for line in draft.setup)
    if indices is None and (ARRAY_VARIABLE in str(draft.fields.get("entrypoint")) or reads):
        why = "the script has no --array: set environment.variables.ARRAY_TASK_ID, or write a "
        why += f"sweep of it: it is ${ARRAY_VARIABLE} in the job file"
        draft.note(0, "changed", "SLURM_ARRAY_TASK_ID", why)
    elif indices is None:
        return

    def renamed(text: str) -> str:
        return re.sub(r"\bSLURM_ARRAY_TASK_ID\b", ARRAY_VARIABLE, text)

    draft.setup = [replace(line, text=renamed(line.text)) for line in draft.setup]
    if indices is not None and not (len(sweep) == 1 and indices == list(range(len(indices)))):
        why = f"a sweep counts from 0: the script's own number is ${ARRAY_VARIABLE} now"
        draft.note(0, "changed", "SLURM_ARRAY_TASK_ID", why)
