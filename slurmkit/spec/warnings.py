"""What is legal in a job and probably not meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.spec.errors import shown
from slurmkit.spec.fields import references
from slurmkit.spec.program import program_config
from slurmkit.spec.secret import secret_name, secret_value

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


_MOST_TASKS = 1001
"""Of an array, unless the site says otherwise: MaxArraySize in man slurm.conf."""


def warnings(
    spec: JobSpec, *, paths: bool = True, slurm: bool = True, coded: bool = True
) -> list[str]:
    """Return one line for each thing that a careful colleague would ask about.

    Args:
        spec: the job.
        paths: whether to name paths that do not exist on this machine.
        slurm: whether Slurm runs the job, not `slurmkit launch`.
        coded: whether to name what a rule of lint finds as well, which `validate` tells itself.
    """
    found = [
        f"environment.variables.{name} looks like a secret and would stand in the script: "
        f"write `pass: [{name}]` under environment instead"
        for name, value in spec.environment.variables.items()
        if coded and tells_a_secret(name, value)
    ]
    if paths:
        found += [
            f"{field}: {path if str(path).isprintable() else shown(str(path))} does not exist here"
            for field, path in missing_paths(spec)
        ]
        found += [
            f"environment.pass: {name} is not set here; the job fails if sbatch does not hand it on"
            for name in spec.environment.pass_
            if name not in os.environ
        ]
    found += [
        f"{field}: {shown(text)} is literal; read on the node would be ${{env:{name}}}"
        for field, text, name in _shell_variables(spec)
    ]
    resources = spec.resources
    if resources.gpus_per_node > spec.processes_per_node:
        idle = resources.gpus_per_node - spec.processes_per_node
        found.append(
            f"resources.processes_per_node: no process for {idle} of the GPUs of each node"
        )
    cpus = resources.cpus_per_node
    if cpus is not None and cpus < spec.processes_per_node:
        found.append(
            f"resources.cpus_per_node: {cpus} CPUs for {spec.processes_per_node} processes a node"
        )
    if coded and slurm and cpus is None and resources.gpus_per_node and not resources.exclusive:
        found.append("resources.cpus_per_node is not set: many sites then give one CPU a node")
    command = spec.entrypoint.command or []
    if len(command) == 1 and " " in command[0].strip():
        found.append(f"entrypoint.command: one program named {command[0]!r}? Write a list of words")
    if spec.requeue and "node_failure" not in spec.requeue.when:
        found.append(
            "requeue.when: leaves out node_failure, but from that Slurm itself brings back every "
            "job that may be requeued"
        )
    if spec.requeue and spec.requeue.by == "program" and spec.container:
        found.append("requeue.by: the program calls scontrol, which most images do not have")
    if spec.name in ("bash", "interactive"):
        found.append(
            f"name: Lightning takes a job named {spec.name} for no Slurm job: choose another"
        )
    found += _of_program(spec)
    found += _of_preflight(spec)
    if spec.sweep:
        found += _of_sweep(spec)
    return found


def _of_program(spec: JobSpec) -> Iterator[str]:
    """Let a program that comes with slurmkit look at its config in this job."""
    doubts = getattr(program_config(spec), "doubts", None)
    if doubts is not None:
        for field, text in doubts(spec.requeue.when if spec.requeue else ()):
            yield f"entrypoint.config.{field}: {text}"


def _of_preflight(spec: JobSpec) -> Iterator[str]:
    """Find data that are to be checked and not named, and paths that no check looks at."""
    asked = spec.preflight
    if asked is None:
        return
    own: dict[str, str] = getattr(program_config(spec), "paths", dict)()
    if "checks" in asked.model_fields_set and "data" in asked.checks and not (asked.data or own):
        yield "preflight.checks: has data, but preflight.data names none to compare"
    for name, paths in (("data", asked.data), ("storage", asked.storage)):
        if paths and name not in asked.checks:
            yield f"preflight.{name}: nothing looks at it: add {name} to preflight.checks"


def _of_sweep(spec: JobSpec) -> Iterator[str]:
    """Find secrets among swept values, and arrays that Slurm does not take as it is delivered."""
    from slurmkit.spec.sweep import axes, count_points

    for axis in axes(spec):
        if axis.kind == "variable" and any(tells_a_secret(axis.path[2], v) for v in axis.values):
            yield f"sweep.{axis.field} looks like a secret and would stand in the script"
    if (count := count_points(spec)) > _MOST_TASKS:
        yield (
            f"sweep: {count} points are more tasks than Slurm's default MaxArraySize allows "
            f"({_MOST_TASKS}); this cluster's: scontrol show config | grep MaxArraySize"
        )


def _shell_variables(spec: JobSpec) -> Iterator[tuple[str, str, str]]:
    """Find `$NAME` and `${NAME}`, as people write them who come from a script."""
    entry, environment = spec.entrypoint, spec.environment
    texts = {f"entrypoint.args[{index}]": text for index, text in enumerate(entry.args)}
    texts |= {f"environment.variables.{name}": text for name, text in environment.variables.items()}
    texts |= {"environment.venv": environment.venv or "", "entrypoint.script": entry.script or ""}
    for field, text in texts.items():
        # Who writes ${env:…} beside it knows the difference.
        if "${env:" not in text and (match := re.search(r"(?<!\$)\$\{?([A-Z_][A-Z0-9_]*)", text)):
            yield field, text, match[1]


def missing_paths(spec: JobSpec) -> list[tuple[str, Path]]:
    """Return the fields that name a file or directory which does not exist on this machine.

    Relative paths start where slurmkit is called, as they do in Slurm; or at `sbatch.chdir`.
    """
    start = Path(spec.sbatch.get("chdir", "."))
    image = spec.container.image if spec.container else None
    named = {
        "entrypoint.script": spec.entrypoint.script,
        "environment.venv": None if spec.container else spec.environment.venv,
        "environment.python": None if spec.container else spec.environment.python,
        "container.image": image if image and image.startswith((".", "/", "~")) else None,
    }
    own_paths = getattr(program_config(spec), "paths", dict)
    named |= {f"entrypoint.config.{field}": text for field, text in own_paths().items()}
    found = []
    for field, text in named.items():
        if text is None or "${" in text:
            continue
        with suppress(OSError, RuntimeError):  # a name that is too long; no home
            path = start / Path(text).expanduser()
            if not path.exists():
                found.append((field, path))
    return found


def tells_a_secret(name: str, value: str) -> bool:
    """Tell whether a variable looks like a secret that is written out."""
    written = [(literal or default or "") for literal, _, default in references(value)]
    return (secret_name(name) and any(written)) or any(map(secret_value, written))
