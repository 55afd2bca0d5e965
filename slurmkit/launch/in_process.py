"""The job that submitit runs in-process, made from the user's: what changes, what cannot be."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slurmkit.spec.errors import Place, Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurmkit.spec.model import JobSpec

MODULE = "slurmkit.train.in_process"
"""What runs on each task; it needs slurmkit in the job's Python."""
_SIGNAL = {"SUBMITIT_PREEMPT_SIGNAL": "USR1"}
"""What submitit listens to: the signal by which all our jobs are told to save."""
_FOLDER = "${env:SLURMKIT_RUN_DIR}/submitit"


def in_process(spec: JobSpec, executor: Literal["slurm", "local"] = "slurm") -> JobSpec:
    """Return the job whose tasks each call the entrypoint of `spec` in-process.

    One task a process, as under `launcher.kind: srun`, each of them submitit's. The program's
    name and arguments stay words of the script, which fills in `${env:NAME}`.

    Raises:
        SpecError: names the fields that cannot be honoured this way.
    """
    refuse(spec)
    entry = spec.entrypoint
    program = _path(entry.script) if entry.script else (entry.module or "").replace("${", "$${")
    return spec.replace(
        {
            "launcher": {"kind": "srun"},
            "environment": {"variables": {"SUBMITIT_EXECUTOR": executor, **_SIGNAL}},
            "entrypoint": {
                "module": MODULE,
                "script": None,
                "args": [_FOLDER, program, *entry.args],
            },
        }
    )


def refuse(spec: JobSpec) -> None:
    """Raise one error for everything in a job that cannot be run by submitit."""
    problems = [
        Problem(what, Place("submitit"), field, fix=fix) for field, what, fix in _impossible(spec)
    ]
    if problems:
        raise SpecError(problems)


def refuse_directory(directory: Path) -> None:
    """Raise for a path in which submitit would fill in the job's id."""
    if found := re.search("%[jtAa]", str(directory)):
        what = f"submitit reads {found[0]} in the path {directory} as a part of the job's id"
        fix = "submit from a directory without % in its path, or submit without submitit"
        raise SpecError([Problem(what, Place("submitit"), fix=fix)])


def note(text: str) -> None:
    """Tell the user something, on standard error."""
    print(f"submitit: {text}", file=sys.stderr, flush=True)


def say_launcher(spec: JobSpec) -> None:
    """Say it where the file names a launcher that does not start the processes here."""
    if spec.launcher.kind == "torchrun" and "kind" in spec.launcher.model_fields_set:
        note("launcher.kind: torchrun is not used: srun starts one task a process")


def _path(text: str) -> str:
    return "${env:HOME}" + text.removeprefix("~") if text.startswith("~/") else text


def _impossible(spec: JobSpec) -> Iterator[tuple[str, str, str]]:
    launcher: Any = spec.launcher
    if spec.entrypoint.command is not None:
        yield (
            "entrypoint.command",
            "a command cannot be called in-process",
            "name a Python entrypoint.module or entrypoint.script, or submit without submitit",
        )
    if launcher.kind == "accelerate":
        yield (
            "launcher.kind",
            "accelerate starts processes of its own, and submitit starts them here",
            "write launcher.kind: srun; accelerate.Accelerator() in the program finds its ranks",
        )
    elif launcher.options:
        yield "launcher.options", "there is no torchrun here to take options", "leave them out"
    if launcher.rendezvous != "static":
        yield "launcher.rendezvous", "srun gives the ranks, without rendezvous", "leave it out"
    if spec.container is not None:
        yield (
            "container",
            "submitit's pickles are written and read by this Python, not by a container's",
            "leave it out, or submit without submitit",
        )
    if spec.sweep:
        yield (
            "sweep",
            "submitit would need a pickle for each array task",
            "submit one point with --point N, or the sweep without submitit",
        )
