"""Rules on a single launch: how srun starts it, and what its program writes to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.work import Work, before_first_command, is_job, works
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.layers import SHELLS, is_python, program_name
from slurmkit.check.script.options import Parsed
from slurmkit.check.script.shell import Command
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import is_assigned, resolve
from slurmkit.check.script.words import Word
from slurmkit.check.secrets import excerpt

_MPI = ("mpirun", "mpiexec", "mpiexec.hydra", "orterun", "prterun")
_PROGRAMS = frozenset(
    ("docker", "singularity", "apptainer", "torchrun", "accelerate", "deepspeed", "mpirun", "cd",
     "source", "export", "echo", "hostname", "nvidia-smi", "conda", "numactl", "env", "podman",
     "podman-hpc", "shifter", "module")
)  # fmt: skip


def _srun(job: Job, work: Work) -> tuple[Parsed[Word], Command] | None:
    """Return the options of the srun of a work, and the command that has it."""
    if work.launch is not None:
        if work.launch.srun is None or work.launch.srun_command is None:
            return None
        return work.launch.srun, work.launch.srun_command
    srun = job.script.layers[work.innermost].srun
    return (srun, work.innermost) if srun is not None else None


@rule("SK403")
def no_kill_on_bad_exit(job: Job) -> Iterator[Found]:
    """Where one task dies, the others wait."""
    if not is_job(job) or _is_exported(job, "SLURM_KILL_BAD_EXIT"):
        return
    for work in works(job):
        found = _srun(job, work)
        if found is None:
            continue
        srun, command = found
        if srun.last("kill-on-bad-exit") is not None or _is_one_task(job, work, srun):
            continue
        words = job.script.layers[command]
        span = words.words[words.srun_at].span
        is_plain = job.script.source.data[span.start : span.end] == b"srun"
        yield job.found(
            "SK403",
            span,
            "where one task dies, the others wait for it until a time-out",
            edits=(Edit(span, "srun --kill-on-bad-exit=1"),) if is_plain else (),
        )


def _is_exported(job: Job, name: str) -> bool:
    """Tell whether the batch script gives a variable a value."""
    return name in job.script.exports or is_assigned(name, job.script.batch)


def _is_one_task(job: Job, work: Work, srun: Parsed[Word]) -> bool:
    """Tell whether a step surely has one task, or one is all that is known of it."""
    tasks, nodes = srun.last("ntasks"), srun.last("nodes")
    per_node = srun.last("ntasks-per-node")
    if (tasks or per_node or nodes) is None and job.value("ntasks") == "1":
        return True
    if job.given("ntasks-per-gpu", "ntasks-per-socket") or srun.last("ntasks-per-gpu"):
        return False
    if tasks is not None:
        return tasks.value == "1"
    node_count = nodes.value if nodes is not None else str(job.nodes) if job.nodes else None
    if per_node is not None:
        task_count = per_node.value
    elif work.launch is not None:
        pinned = job.step_tasks_per_node(work.launch)
        task_count = "1" if pinned is None else str(pinned)
    else:
        task_count = "1" if job.tasks_per_node is None else str(job.tasks_per_node)
    return node_count in ("1", "1-1") and task_count == "1"


@rule("SK408")
def doubled(job: Job) -> Iterator[Found]:
    """`torchrun python train.py`, `srun srun`, `srun mpirun`."""
    for launch in job.launches:
        program = launch.program
        if launch.kind == "direct" or program is None or launch.is_module:
            continue
        if launch.option("no-python") is not None or not is_python(program_name(program)):
            continue
        yield job.found(
            "SK408",
            program.span,
            f"{launch.kind} starts `{program.shown}` as a Python script: it runs "
            f"`python {program.shown} …`",
            edits=_without(job, launch, program),
        )
    for command in job.script.commands:
        layers = job.script.layers[command]
        if layers.srun is None or command.shell.where == "unknown":
            continue
        inner = layers.words[layers.srun_at + 1 + layers.srun.rest :]
        name = program_name(inner[0]) if inner else ""
        if name not in ("srun", *_MPI):
            continue
        tasks, nodes = layers.srun.last("ntasks"), layers.srun.last("nodes")
        if name != "srun" and (
            (tasks is not None and tasks.value == "1")
            or (tasks is None and _one_in_all(job, nodes.value if nodes is not None else None))
        ):
            continue
        yield job.found("SK408", inner[0].span, f"srun starts {name} once a task")


def _one_in_all(job: Job, nodes: str | None) -> bool:
    """Tell whether a step without a task count of its own has a single task."""
    is_one_node = nodes == "1" or (nodes is None and job.nodes == 1)
    return is_one_node and job.tasks_per_node in (None, 1)


def _without(job: Job, launch: Launch, program: Word) -> tuple[Edit, ...]:
    """Return the edit that takes `python` out, where a script follows."""
    following = launch.arguments[0] if launch.arguments else None
    if following is None or not following.shown.endswith(".py"):
        return ()
    data = job.script.source.data
    start, end = program.span
    if not re.fullmatch(rb"python[\d.]*", data[start:end]):
        return ()
    match = re.compile(rb"[ \t]+(?![\s\\])").match(data, end)
    return (Edit(Span(start, match.end()), ""),) if match else ()


@rule("SK418")
def outside_of_steps(job: Job) -> Iterator[Found]:
    """ssh, pdsh, mpirun, DeepSpeed's own ssh."""
    if not is_job(job):
        return
    seen: set[Span] = set()
    for launch in job.launches:
        span, through = launch.span, launch.through
        if through == "srun" or launch.srun is not None or "ibrun" in launch.layers.wrappers:
            continue
        if launch.kind == "deepspeed" and not through:
            hosts = launch.option("hostfile", "H")
            own = launch.text("launcher") or "pdsh"
            if own.lower() == "slurm" or not (hosts is not None and job.nodes != 1):
                continue
            through = own
        if not through or span in seen:
            continue
        seen.add(span)
        yield job.found(
            "SK418", span, f"{through} starts this; Slurm's steps do not hold what it starts"
        )


@rule("SK419")
def buffered(job: Job) -> Iterator[Found]:
    """Python keeps its output back where that goes to a file."""
    if not is_job(job) or _is_exported(job, "PYTHONUNBUFFERED"):
        return
    if _is_exported(job, "SLURM_UNBUFFEREDIO") or any(x.is_launcher for x in job.launches):
        return  # beside a launcher, which gives its workers -u, python only prepares
    for work in works(job):
        launch = work.launch
        if launch is None or launch.kind != "direct" or _is_unbuffered(launch):
            continue
        yield job.found(
            "SK419",
            launch.span,
            "its output goes to a file, and Python keeps it back in blocks of 8 KiB",
            edits=before_first_command(job, "export PYTHONUNBUFFERED=1"),
        )
        return


def _is_unbuffered(launch: Launch) -> bool:
    if any(re.fullmatch(r"-[bBdEiIOsSvqx]*u\w*", option) for option in launch.python_options):
        return True
    if launch.srun is not None:
        exported = launch.srun.last("export")
        if launch.srun.last("unbuffered") is not None:
            return True
        if exported is not None and "PYTHONUNBUFFERED" in (exported.value or ""):
            return True
    if is_assigned("PYTHONUNBUFFERED", launch.command.shell):
        return True
    text = " ".join(word.shown for word in launch.layers.words[: launch.at])
    variables = (variable.name for variable in launch.command.variables)
    return "PYTHONUNBUFFERED" in text or "PYTHONUNBUFFERED" in variables or "stdbuf" in text


@rule("SK423")
def interactive(job: Job) -> Iterator[Found]:
    """`srun --pty` where there is no terminal."""
    for command in job.script.commands:
        srun = job.script.layers[command].srun
        option = srun.last("pty") if srun is not None else None
        if option is None or not is_job(job) or command.shell.where == "unknown":
            continue
        yield job.found(
            "SK423", option.origins[0].span, "a batch job has no terminal that --pty could use"
        )


@rule("SK425")
def one_word(job: Job) -> Iterator[Found]:
    """A whole command as one word."""
    for command in job.script.commands:
        layers = job.script.layers[command]
        if layers.srun is None or command.shell.where == "unknown":
            continue
        inner = layers.words[layers.srun_at + 1 + layers.srun.rest :]
        if not inner or not inner[0].pieces:
            continue
        text = resolve(inner[0], command.order, command.context) or inner[0].shown
        if not _is_command_line(text) or _may_be_program(inner[0]):
            continue
        yield job.found(
            "SK425",
            inner[0].span,
            f"srun looks for one program of the name `{excerpt(' '.join(text.split()), 60)}`",
        )


def _may_be_program(word: Word) -> bool:
    """Tell whether bash makes several words of it, or nobody knows what: `$(head -n 1 list)`."""
    is_split = any(piece.kind != "text" and not piece.is_quoted for piece in word.pieces)
    return is_split or word.pieces[0].kind == "substitution"


def _is_command_line(text: str) -> bool:
    words = text.split()
    if len(words) < 2:
        return False
    name = words[0].rpartition("/")[2]
    is_known = name in _PROGRAMS or name in SHELLS or is_python(name)
    return is_known or any(re.fullmatch(r"--?[a-zA-Z][\w-]*(=.*)?", word) for word in words[1:])
