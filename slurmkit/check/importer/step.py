"""srun's options and what else stands in front of the launcher: `uv run`, `numactl`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from slurmkit.check.importer.container import OTHERS, PYXIS
from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.values import HOME
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.layers import MPI, program_name
from slurmkit.check.script.read import Script
from slurmkit.check.script.words import Word, joined
from slurmkit.spec.reserved import reserved

_SILENT = (
    "nodes", "ntasks", "ntasks-per-node", "cpus-per-task", "gpus-per-node", "gres", "gpus",
    "gpus-per-task", "jobid", "job-name", "kill-on-bad-exit", "wait", "partition",
    "account", "overlap", "exclusive", "exact", "mem-per-cpu", "verbose", "quiet",
)  # fmt: skip
"""They follow from the job file."""
_LOGS = ("output", "error", "label", "unbuffered")
_INPUT = "what the program reads is left out: put it into a file, and name that among its arguments"
_OF_STEP = ("time", "mem", "chdir", "input")
_AS_IF_NOT_THERE = ("srun", "exec", "command", "builtin", "nohup", "time", "unbuffer")
_ACTIVATED = {
    "poetry": 'source "$(poetry env info --path)/bin/activate"',
    "pipenv": 'source "$(pipenv --venv)/bin/activate"',
    "pixi": 'eval "$(pixi shell-hook)"',
}
"""What takes the place of `TOOL run`."""


def read_step(draft: Draft, launch: Launch, line: int) -> None:
    """Put srun's options into launcher.srun."""
    if launch.srun is None:
        if launch.through:
            why = "srun starts the processes, as steps of the job"
            words = launch.layers.words[: launch.at]
            begin = next((i for i, word in enumerate(words) if program_name(word) in MPI), None)
            what = launch.through if begin is None else joined(words[begin:])
            draft.note(line, "changed", what, why)
            _of_mpi(draft, launch)
        return
    for option in launch.srun.options:
        value = f"={option.value}" if option.value is not None else ""
        shown = f"--{option.name}{value}"
        if option.name.startswith(PYXIS) or option.name in _SILENT:
            continue
        if option.name == "export":
            _exported(draft, option.value or "", line)
        elif option.name in ("nodelist", "relative"):
            _where(draft, launch, shown, line)
        elif option.name in _LOGS:
            draft.note(line, "dropped", shown, "slurmkit keeps a log file a rank")
        elif option.name in _OF_STEP:
            draft.note(line, "changed", shown, "of the step: left out")
        elif option.problem and option.name != "cpu_bind":
            draft.note(line, "changed", shown, "srun has no such option; a plugin of the site may")
        else:
            _other(draft, option.name.replace("_", "-"), option.value, line)


def read_input(draft: Draft, launch: Launch, line: int) -> None:
    """Tell of what the program reads, and where its messages go."""
    command = launch.command
    for redirect in command.redirects:
        target = f" {redirect.target.shown}" if redirect.target is not None else ""
        if target == " /dev/null":
            continue
        if redirect.operator.startswith("<"):
            what = f"{redirect.operator}{target}" if target else "<<, a heredoc"
            draft.note(line, "changed", what, _INPUT)
        elif redirect.descriptor == "2" and redirect.operator != ">&":
            why = "slurmkit keeps a log file a rank, messages included"
            draft.note(line, "dropped", f"2{redirect.operator}{target}", why)
    if command.at_in_pipeline:
        before = command.pipeline[0].text or b""
        draft.note(line, "changed", f"{before.decode(errors='replace')} |", _INPUT)


def _where(draft: Draft, launch: Launch, shown: str, line: int) -> None:
    """Tell of the nodes that a step names: one of a loop over them, or some of the job's."""
    if launch.command.context.loops:
        draft.note(line, "moved", shown, "slurmkit starts the program once, on all nodes")
    else:
        why = "slurmkit starts the program on all nodes of the job, not on some of them"
        draft.note(line, "changed", shown, why)


def _of_mpi(draft: Draft, launch: Launch) -> None:
    """`mpirun -x A=1`: A reaches the processes."""
    words = [_shown(word) for word in launch.layers.words[: launch.at]]
    for before, word in pairwise(words):
        name, equals, text = word.partition("=")
        if (
            before == "-x"
            and equals
            and name.isidentifier()
            and not reserved(name)
            and _is_known(text)
        ):
            draft.set("environment", "variables", name, text)


def _other(draft: Draft, name: str, value: str | None, line: int) -> None:
    from slurmkit.slurm.options import OptionError, check_option

    given: str | bool = True if value is None else value
    try:
        check_option("srun", name, given)
    except OptionError as error:
        draft.note(line, "changed", f"--{name}", f"left out: {error}")
        return
    draft.set("launcher", "srun", name, given)


def _exported(draft: Draft, value: str, line: int) -> None:
    """`--export=ALL,A=1`: A reaches the processes."""
    for part in value.split(","):
        name, equals, text = part.partition("=")
        if equals and name.isidentifier() and not reserved(name) and "$" not in text:
            draft.set("environment", "variables", name, text)
        elif equals:
            draft.note(line, "changed", f"--export={part}", reserved(name) or "write it by hand")
        elif part == "NONE":
            why = "the processes get the environment of the script"
            draft.note(line, "changed", "--export=NONE", why)


def read_wrappers(script: Script, draft: Draft, launch: Launch, line: int) -> list[str]:
    """Tell what becomes of the programs in front of the launcher, and in front of srun.

    Returns:
        Lines of setup that take the place of some.
    """
    lines: list[str] = []
    for command, layers in around(script, launch.command):
        words = layers.words[: launch.at if command is launch.command else layers.at]
        for name in dict.fromkeys(layers.wrappers):
            at = next((i for i, word in enumerate(words) if program_name(word) == name), None)
            if at is None or name in (*_AS_IF_NOT_THERE, *_CONTAINERS, *MPI):
                continue  # without a place it stands behind the program, in a container
            until = layers.srun_at if at < layers.srun_at else len(words)
            if name in _ACTIVATED:
                lines.append(_ACTIVATED[name])
                draft.note(line, "changed", f"{name} run", f"instead, in setup: {lines[-1]}")
            else:
                _wrapper(draft, name, words[at:until], line)
    return lines


def _wrapper(draft: Draft, name: str, words: Sequence[Word], line: int) -> None:
    following = [word.shown for word in words[1:]]
    if name in ("conda", "mamba", "micromamba"):
        _of_conda(draft, name, following, line)
    elif name == "uv":
        draft.put("environment", "venv", _uv_venv(following))
        why = "the environment that uv has made is used as it is: run `uv sync` first"
        draft.note(line, "changed", "uv run", why)
    elif name == "env":
        _of_env(draft, [_shown(word) for word in words[1:]], line)
    else:
        why = "left out: slurmkit starts srun, and the launcher, itself"
        draft.note(line, "changed", joined(words), why)


_CONTAINERS = ("apptainer", "singularity", *OTHERS)


def _of_env(draft: Draft, words: list[str], line: int) -> None:
    """`env A=1 program`."""
    for word in words:
        name, equals, text = word.partition("=")
        if equals and name.isidentifier() and not reserved(name) and _is_known(text):
            draft.set("environment", "variables", name, text)
        else:
            draft.note(line, "changed", f"env {' '.join(words)}", "write it by hand")
            return


def _shown(word: Word) -> str:
    """Return a word with `~` as a job file has it."""
    parts = [replace(p, text=HOME) if p.is_home and p.text == "~" else p for p in word.pieces]
    return replace(word, pieces=tuple(parts)).shown


def _is_known(text: str) -> bool:
    return "$" not in text.replace(HOME, "")


def _of_conda(draft: Draft, name: str, words: list[str], line: int) -> None:
    option = next((w for w in words if w in ("-n", "--name", "-p", "--prefix")), None)
    given = words[words.index(option) + 1 :][:1] if option is not None else []
    if given and "$" not in given[0]:
        draft.put("environment", "conda", given[0])
    else:
        draft.note(line, "changed", f"{name} run", "write environment.conda")


def _uv_venv(words: list[str]) -> str:
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in ("--project", "--directory") and (equals or at + 1 < len(words)):
            return f"{value if equals else words[at + 1]}/.venv"
    return ".venv"
