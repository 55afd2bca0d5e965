"""Peels a command line: `srun … apptainer exec … numactl … torchrun …` down to the program."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slurmkit.check.script.options import Argument, Given, Parsed, parse
from slurmkit.check.script.shell import Command
from slurmkit.check.script.variables import expand, resolve
from slurmkit.check.script.words import Word

SHELLS = ("bash", "sh", "zsh", "dash", "ksh")
LAUNCHERS = ("torchrun", "accelerate", "deepspeed", "horovodrun", "torch_distributed", "colossalai")
MPI = (
    "mpirun",
    "mpiexec",
    "mpiexec.hydra",
    "orterun",
    "prun",
    "ibrun",
    "aprun",
    "jsrun",
    "prterun",
)
_REMOTE = ("ssh", "pdsh", "clush", "pssh", "parallel-ssh", "rsh")
CONTAINERS = (
    "singularity", "apptainer", "docker", "podman", "podman-hpc", "shifter", "enroot", "ch-run",
    "sarus", "udocker", "nvidia-docker",
)  # fmt: skip
_WRAPPERS = (
    "exec", "command", "nohup", "time", "nice", "ionice", "numactl", "taskset", "stdbuf",
    "unbuffer", "timeout", "env", "sudo", "nsys", "ncu", "strace", "catchsegv", "xvfb-run",
    "conda", "mamba", "micromamba", "uv", "poetry", "pixi", "pipenv", "hatch", "perf", "valgrind",
    "rocprof", "rocprofv3", "builtin", "setsid", "tini", "dumb-init", "xargs", "hpcrun",
    "nvprof", "dlprof",
)  # fmt: skip
_RUNS = frozenset({"run", "exec", "start", "shell", "launch"})
_RUNS_NOTHING = frozenset(
    {"activate", "deactivate", "install", "uninstall", "create", "env", "remove", "update",
     "upgrade", "info", "list", "config", "init", "clean", "search", "export", "pip", "venv",
     "sync", "add", "lock", "build", "pull", "push", "images", "inspect", "import", "load",
     "save", "rm", "rmi", "tag", "login", "cp", "cache", "stop", "kill", "ps", "logs", "version",
     "show", "global", "python", "image", "volume", "network", "package"}
)  # fmt: skip
"""Subcommands of conda, uv, docker and the like that start no program that is named there."""
_WITH_SUBCOMMANDS = frozenset(
    {"conda", "mamba", "micromamba", "uv", "poetry", "pixi", "pipenv", "hatch", "singularity",
     "apptainer", "docker", "podman", "podman-hpc", "enroot", "sarus", "udocker"}
)  # fmt: skip
_NAMING = frozenset({"-n", "--name", "-p", "--prefix", "--with", "--extra", "--group", "-e"})
_OPTIONS = re.compile(r"srun|slurm|arg|opt|flag|param|container|extra|mount|bind", re.IGNORECASE)
_SSH_WITH_VALUE = set("bcDEeFIiJLlmOopQRSWw")


@dataclass(frozen=True)
class Layers:
    """A command line, peeled."""

    words: tuple[Word, ...]
    """All words, with the variables put in that are known."""
    at: int
    """The index of the program in the end."""
    program: str
    """Its name without the directory; empty where it is not known."""
    srun: Parsed[Word] | None = None
    """The options of the srun that starts it."""
    srun_at: int = 0
    through: str = ""
    """srun, mpirun or ssh; empty where it starts where the shell runs."""
    in_container: bool = False
    wrappers: tuple[str, ...] = ()
    """The programs in between, from the outside."""
    remote: tuple[Word, ...] = ()
    """What a remote shell reads: of `ssh HOST COMMAND…`."""

    @property
    def arguments(self) -> tuple[Word, ...]:
        """The words behind the program."""
        return self.words[self.at + 1 :]


def program_name(word: Word) -> str:
    """Return the name of the program that a word starts: `$(which torchrun)` is torchrun."""
    if len(word.pieces) == 1 and word.pieces[0].kind == "substitution":
        match = re.fullmatch(r"(?:which|command -v|type -P) +(\S+)", word.pieces[0].text)
        return match[1].strip("\"'") if match else ""
    last = word.pieces[-1] if word.pieces else None
    if last is None or last.kind != "text" or (len(word.pieces) > 1 and "/" not in last.text):
        return (word.literal or "").rpartition("/")[2]
    return last.text.rpartition("/")[2]


def is_python(name: str) -> bool:
    """Tell whether a program's name is that of a Python interpreter."""
    return re.fullmatch(r"python[\d.]*|pypy3?", name) is not None


def _is_known(word: Word) -> bool:
    name = program_name(word)
    return (
        name in SHELLS or name in LAUNCHERS or is_python(name) or name in _WRAPPERS
        or name in CONTAINERS or name in MPI or name == "srun"
    )  # fmt: skip


def peel(command: Command) -> Layers:
    """Return what a command starts in the end, and through what."""
    words: list[Word] = []
    for word in command.words:
        words += expand(word, command.order, command.context)
    at, through, in_container, srun, srun_at = 0, "", False, None, 0
    wrappers: list[str] = []
    remote: tuple[Word, ...] = ()
    while at < len(words):
        name = program_name(words[at])
        if name == "srun" and srun is None:
            srun, rest = _srun_options(words[at + 1 :], command)
            srun_at, through = at, "srun"
            in_container = (
                in_container
                or srun.last("container-image") is not None
                or any(o.name.startswith("container-image") for o in srun.options)
            )
            wrappers.append(name)
            at += 1 + rest
            continue
        if name in _REMOTE:
            remote, through = _remote(words[at:]), "ssh"
            wrappers.append(name)
            break
        if name in MPI:
            through = through or "mpirun"
        elif name in CONTAINERS:
            in_container = True
        elif name not in _WRAPPERS or len(words) == at + 1:
            break
        following = _next(words, at)
        if following is None:
            break
        wrappers.append(name)
        at = following
    program = program_name(words[at]) if at < len(words) else ""
    return Layers(
        tuple(words), at, program, srun, srun_at, through, in_container, tuple(wrappers), remote
    )


def _srun_options(words: list[Word], command: Command) -> tuple[Parsed[Word], int]:
    """Read srun's options; `"$@"` among them may be any, and is passed over."""
    found: list[Given[Word]] = []
    at = 0
    while True:
        arguments = [Argument(_text(word, command), word) for word in words[at:]]
        parsed = parse("srun", arguments)
        found += parsed.options
        at += parsed.rest
        if at >= len(words) or not (_is_list(words[at]) or _holds_options(words, at)):
            return Parsed(tuple(found), at), at
        at += 1


def _holds_options(words: list[Word], at: int) -> bool:
    """Tell whether a word is `$SRUN_ARGS` or `${X:+--y}`, with a known program behind it."""
    pieces = words[at].pieces
    if not pieces or any(piece.kind == "text" for piece in pieces):
        return False
    is_named = all(_OPTIONS.search(p.text) or p.operation.startswith((":+", "+")) for p in pieces)
    return is_named and any(_is_known(word) for word in words[at + 1 :])


def _is_list(word: Word) -> bool:
    """Tell whether a word is `"$@"` or `"${OPTIONS[@]}"`, with values that are not known."""
    if len(word.pieces) != 1 or word.pieces[0].kind != "variable":
        return False
    return word.pieces[0].text == "@" or word.pieces[0].operation in ("[@]", "[*]")


def _next(words: list[Word], at: int) -> int | None:
    """Return where the program stands that a wrapper starts."""
    name = program_name(words[at])
    if name == "command" and any(word.shown in ("-v", "-V") for word in words[at + 1 : at + 2]):
        return None
    has_subcommands = name in _WITH_SUBCOMMANDS
    if has_subcommands and not _starts(words[at + 1 :]):
        return None
    for i in range(at + 1, len(words)):
        is_value = has_subcommands and words[i - 1].shown in _NAMING
        if _is_known(words[i]) and not is_value:
            return i
    return None


def _starts(words: list[Word]) -> bool:
    """Tell whether a subcommand may start a program: not that of `conda activate deepspeed`."""
    named = [word.shown for word in words if not word.shown.startswith("-")][:2]
    for name in named:
        if name in _RUNS:
            return True
        if name in _RUNS_NOTHING:
            return False
    return True


def _remote(words: list[Word]) -> tuple[Word, ...]:
    """Return the command of `ssh [options] HOST COMMAND…`."""
    at, hosts = 1, 0
    named = program_name(words[0]) == "ssh"
    while at < len(words):
        text = words[at].shown
        if text.startswith("-") and len(text) > 1:
            at += 2 if len(text) == 2 and text[1] in _SSH_WITH_VALUE else 1
        elif named and hosts == 0:
            hosts, at = 1, at + 1
        else:
            break
    return tuple(words[at:])


def _text(word: Word, command: Command) -> str:
    """Return what is known of a word; an unknown part stands as it is written."""
    known = resolve(word, command.order, command.context)
    return known if known is not None else word.shown
