"""Launches without a launcher of torch's: what of their command line is the program."""

from __future__ import annotations

import re
from dataclasses import replace

from slurmkit.check.importer.container import OTHERS, behind_image
from slurmkit.check.importer.programs import programs
from slurmkit.check.lint.job import Job
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.layers import MPI, SHELLS, Layers, is_python, program_name
from slurmkit.check.script.shell import Command

_BESIDE = ("cd", "ulimit", "umask", "module", "ml", "conda", "mamba", "micromamba", "mkdir", "pip",
           "pip3", "source", ".", "export", "set", "eval", "test", "[", "tee")  # fmt: skip
"""What may stand beside a program in a shell's text, and has a place of its own."""


_ARGUMENT = re.compile(rb"\$\{?[1-9@*]")
_WRAPPERS = (
    "numactl", "taskset", "timeout", "nice", "ionice", "stdbuf", "nsys", "ncu", "strace", "perf",
    "valgrind", "rocprof", "rocprofv3", "nvprof", "dlprof", "hpcrun", "xvfb-run", "catchsegv",
    "xargs", "sudo", "tini", "dumb-init",
)  # fmt: skip
_STARTERS = ("time", "nohup", "exec", "command", "unbuffer", "setsid")
_ONE_VALUE = (
    "-np", "-n", "-N", "-npernode", "-ppn", "-perhost", "-x", "-map-by", "-bind-to", "-rank-by",
    "-hostfile", "-machinefile", "-f", "-host", "-hosts", "-H", "-wdir", "-wd", "-c", "-prefix",
)  # fmt: skip
_TWO_VALUES = ("-mca", "-gmca", "-genv", "-env")
"""Options of mpirun with a value, or with two."""
_BLOCKS = ("if_statement", "for_statement", "while_statement", "c_style_for_statement",
           "case_statement")  # fmt: skip


def direct(job: Job, command: Command) -> Launch:
    """Return a command as a launch: the program itself, a process a task."""
    layers = job.script.layers[command]
    at = begin(layers)
    srun, starter = None, None
    for outer, peeled in around(job.script, command):
        if peeled.srun is not None:
            srun, starter = peeled.srun, outer
            break
    return Launch(
        "direct", command, layers, at, (), layers.words[at], tuple(layers.words[at + 1 :]), False,
        (), srun, starter, layers.through or command.shell.through,
        layers.in_container or command.shell.in_container,
    )  # fmt: skip


def begin(layers: Layers) -> int:
    """Return where a program stands that nobody knows by its name."""
    at = behind_image(layers)
    while at + 1 < len(layers.words) and program_name(layers.words[at]) in _STARTERS:
        at += 1
    return _behind_mpirun(layers, at) if program_name(layers.words[at]) in MPI else at


def _behind_mpirun(layers: Layers, start: int) -> int:
    at, words = start + 1, layers.words
    while at < len(words) and words[at].shown.startswith("-"):
        name = "-" + words[at].shown.lstrip("-")
        at += 1 + (2 if name in _TWO_VALUES else name in _ONE_VALUE)
    return at if at < len(words) else start


def as_it_stands(job: Job, launch: Launch) -> Launch:
    """Return a launch whose program is all that has to stay together.

    That is a shell with its text, where the text is more than a program and what leads to it; what
    stands in front of the program, such as numactl; and a container's program, where slurmkit has
    none of that kind.
    """
    if launch.kind != "direct":
        return launch
    chain = list(around(job.script, launch.command))
    outer, layers = chain[-1]
    if len(chain) > 1 and layers.program in SHELLS and not layers.remote:
        at = _in_front(layers, layers.at)
        if at is not None or any(_is_involved(*inner) for inner in chain[:-1]):
            return _from(direct(job, outer), layers.at if at is None else at)
    at = _in_front(launch.layers, launch.at)
    return launch if at is None else _from(launch, at)


def _from(launch: Launch, at: int) -> Launch:
    words = launch.layers.words
    return replace(
        launch, at=at, program=words[at], arguments=tuple(words[at + 1 :]),
        is_module=False, python_options=(),
    )  # fmt: skip


def _in_front(layers: Layers, until: int) -> int | None:
    """Return where what stays in front of the program begins: numactl, a container's program."""
    for at in range(layers.srun_at, min(until + 1, len(layers.words))):
        if program_name(layers.words[at]) in (*OTHERS, *_WRAPPERS):
            return at
    return None


def _is_involved(command: Command, layers: Layers) -> bool:
    """Tell whether a shell's text is more than what leads to a program, and the program."""
    context, shell = command.context, command.shell
    if context.in_background or context.functions or layers.program == "eval":
        return True
    data, node = shell.text.data, command.node
    if _ARGUMENT.search(data[: node.start_byte] + data[node.end_byte :]) or _is_in_block(command):
        return True
    beside = {*programs("harmless"), *_BESIDE}
    is_program_before = False
    for other in shell.commands:
        if other is command or other.context.in_substitution or not other.words:
            continue
        is_program = other.name not in beside
        if is_program and (other.order > command.order or other.context.in_background):
            return True
        if is_python(other.name) or (is_program_before and other.name == "cd"):
            return True
        is_program_before |= is_program
    return False


def _is_in_block(command: Command) -> bool:
    """Tell whether it stands in a condition or a loop; `a && b` is none."""
    at = command.node.parent
    while at is not None and at.type not in _BLOCKS:
        at = at.parent
    return at is not None
