"""Which commands of a script do its work, and what the shell makes of their exit status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from slurmkit.check.lint.rule import Edit
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.layers import SHELLS
from slurmkit.check.script.source import Span

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.lint.job import Job
    from slurmkit.check.script.shell import Command, Shell

_UTILITIES = frozenset(
    {"hostname", "nvidia-smi", "rocm-smi", "echo", "printf", "mkdir", "cp", "mv", "rsync",
     "rm", "ls", "df", "du", "cat", "sleep", "tar", "env", "printenv", "pkill", "kill",
     "killall", "which", "date", "true", "false", "scontrol", "ip", "ssh-keyscan", "free",
     "lscpu", "module", "touch", "chmod", "ln", "unzip", "pigz", "gzip", "sbcast", "find",
     "head", "tail", "grep", "sed", "awk", "cut", "sort", "uname", "whoami", "pwd", "wget",
     "curl", "cd", "test", "[", "source", ".", "export", "set", "ulimit", "id", "ps", "top",
     "htop", "nvcc", "ping", "git", "ibstat", "ifconfig", "getent", "sinfo", "squeue", "sacct",
     "sstat", "dcgmi", "numactl", "taskset", "conda", "mamba", "pip", "stat", "wc", "tee",
     "read", "wait", "trap", "exit", "type", "alias", "shopt", "unset", "local", "eval",
     "declare", ":", "rmdir", "chown", "modprobe", "lsof", "lsblk", "deactivate", "lsb_release",
     "seff", "mail", "mailx", "sendmail", "sync", "scancel", "sbatch", "rclone", "tput", "clear",
     "popd", "pushd", "spack", "ml", "micromamba", "return", "gsutil", "aws",
     "break", "continue", "shift", "readonly", "typeset", "hash", "bc", "basename", "dirname",
     "let", "jobs", "disown", "umask", "pgrep", "logger", "tr", "expr", "seq", "nproc", "mktemp",
     "realpath", "readlink", "diff", "nvidia-cuda-mps-control", "[[", "uniq", "egrep", "jq", "nc",
     "ss", "netstat", "md5sum", "lfs", "quota", "mpstat", "vmstat", "iostat", "nvtop"}
)  # fmt: skip
_COMMENT = re.compile(
    rb"[ \t]*#(?!!|[#\W]*(?:SBATCH|SLURM|PBS|BSUB|FLUX)\b)[^\n]*\n?\Z", re.IGNORECASE
)
_PIP_LIKE = ("pip", "venv", "ensurepip", "compileall", "zipfile", "json.tool", "wandb")
_JOINING = ("pipeline", "list", "redirected_statement", "negated_command")


@dataclass(frozen=True, eq=False)
class Work:
    """A command of the batch shell that starts a training, or another program by srun."""

    command: Command
    launch: Launch | None
    """What it starts in the end, where that is known."""
    innermost: Command
    """The command that is the launch, or the srun."""


def is_job(job: Job) -> bool:
    """Tell whether the script is made for sbatch: it has directives."""
    return bool(job.script.directives.lines or job.script.directives.late)


@lru_cache(maxsize=4)
def works(job: Job) -> tuple[Work, ...]:
    """Return the commands that do the work, in the order of execution."""
    script = job.script
    found: dict[Command, Work] = {}
    for launch in job.launches:
        if _is_training(launch):
            top = _top(job, launch.command)
            if top is not None:
                found.setdefault(top, Work(top, launch, launch.command))
    for command in script.commands:
        if script.layers[command].srun is None or not _is_unknown_step(job, command):
            continue
        top = _top(job, command)
        if top is not None:
            found.setdefault(top, Work(top, None, command))
    return tuple(sorted(found.values(), key=lambda work: work.command.order))


@lru_cache(maxsize=4)
def busy(job: Job) -> tuple[Command, ...]:
    """Return the commands that do the work and those around them: shells, calls of functions."""
    found: dict[Command, None] = {}
    for work in works(job):
        at: Command | None = work.innermost
        while at is not None:
            found[at] = None
            at = at.shell.starter
    calls = {name for command in found for name in command.context.functions}
    for command in job.script.commands if calls else ():
        if command.name in calls:
            found[command] = None
    return tuple(sorted(found, key=lambda command: command.order))


def _is_training(launch: Launch) -> bool:
    """Tell whether a launch may be the job's work; `python -m pip` is none."""
    if launch.command.context.in_substitution:
        return False
    program = launch.program.shown if launch.program is not None else ""
    if launch.is_launcher:
        return True
    if launch.is_module:
        return program not in _PIP_LIKE
    return not program.endswith("setup.py") and program != "-"


def _top(job: Job, command: Command) -> Command | None:
    """Return the command of the batch shell that leads to another; None in a trap's handler."""
    at: Command | None = command
    while at is not None and at.shell is not job.script.batch:
        if at.shell.handles:
            return None
        at = at.shell.starter
    return at if at is None or not at.context.in_substitution else None


def _is_unknown_step(job: Job, command: Command) -> bool:
    """Tell whether srun starts a program here that may be the training."""
    layers = job.script.layers[command]
    srun = layers.srun
    if srun is None or command.context.in_substitution or layers.at >= len(layers.words):
        return False
    if any(srun.last(name) for name in ("overlap", "pty", "jobid")):
        return False
    if layers.program in SHELLS and command.nested:
        inner = (c for shell in command.nested for c in shell.commands)
        return any(c.name and c.name not in _UTILITIES for c in inner)
    if layers.words[layers.at].shown.startswith("-"):
        return False
    return layers.program not in _UTILITIES


def is_utility(command: Command) -> bool:
    """Tell whether a command is of the shell or of the system, and none of the job's programs."""
    return command.name in _UTILITIES


def statement(node: Node) -> Node:
    """Return the whole statement that a command is part of: its pipeline, its `a && b`."""
    while node.parent is not None and node.parent.type in _JOINING:
        node = node.parent
    return node


def is_piped(command: Command) -> bool:
    """Tell whether a command's output goes to another one, whose exit status then counts."""
    node: Node | None = command.node
    while node is not None and node.parent is not None:
        parent = node.parent
        if parent.type in ("function_definition", "command_substitution", "process_substitution"):
            return False
        if parent.type == "pipeline":
            last = [child for child in parent.children if child.is_named][-1]
            if last.id != node.id:
                return True
        node = parent
    return False


@lru_cache(maxsize=32)
def _switches(shell: Shell) -> tuple[tuple[int, str, bool], ...]:
    """Return when the shell turns `errexit` and `pipefail` on and off."""
    found = [(0, name, True) for name in _from_the_start(shell)]
    for command in shell.commands:
        if command.name not in ("set", "shopt") or command.context.in_subshell:
            continue
        words = [word.shown for word in command.words[1:]]
        found += [(command.order, name, is_on) for name, is_on in _named(command.name, words)]
    return tuple(found)


def _named(command: str, words: list[str]) -> Iterator[tuple[str, bool]]:
    if command == "shopt":
        is_on = any(re.fullmatch(r"-o?so?", word) for word in words)
        yield from ((word, is_on) for word in words if word in ("errexit", "pipefail"))
        return
    for at, word in enumerate(words):
        if not re.fullmatch(r"[-+][a-zA-Z]+", word):
            continue
        if "e" in word:
            yield "errexit", word[0] == "-"
        if "o" in word and at + 1 < len(words):
            yield words[at + 1], word[0] == "-"


def _from_the_start(shell: Shell) -> Iterator[str]:
    """Return what the shebang or the command line that starts it turns on."""
    if shell.starter is None:
        first = shell.text.data.partition(b"\n")[0].decode(errors="replace")
        words = first.split()[1:] if first.startswith("#!") else []
    else:
        words = [word.shown for word in shell.starter.words]
        words = words[: next((i for i, word in enumerate(words) if " " in word), len(words))]
        if not any(word.rpartition("/")[2] in SHELLS for word in words):
            words = []
    yield from (name for name, is_on in _named("set", words) if is_on)


def is_set(shell: Shell, option: str, order: int) -> bool:
    """Tell whether a shell has `errexit` or `pipefail` on at a time."""
    state = False
    for when, name, is_on in _switches(shell):
        if when >= order:
            break
        if name == option:
            state = is_on
    return state


def before_first_command(job: Job, text: str) -> tuple[Edit, ...]:
    """Return the edit that puts a line below the directives; none in a script within another."""
    script = job.script
    at = script.directives.end
    data = script.batch.text.data
    if script.batch.text.origins is not None or at >= len(data):
        return ()
    above = data[:at].splitlines(keepends=True)
    while above and _COMMENT.match(above[-1]):
        at -= len(above.pop())
    return (Edit(Span(at, at), f"{text}\n"),)


def has_shebang_of_sh(job: Job) -> bool:
    """Tell whether the script is run by a plain POSIX shell."""
    first = job.script.batch.text.data.partition(b"\n")[0]
    return re.match(rb"#!\s*(/usr)?/bin/(env\s+)?(sh|dash)\b", first) is not None
