"""Launcher, requeue and container that do not go together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.spec.contradictions.found import Contradiction
from slurmkit.spec.reserved import reserved_option

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_ENVIRONMENT = "the job's variables, and with them the ranks, out of the container"
_PROCESSES = "the workers' process ids from the script, which signals them"
_NETWORK = "the other nodes out of reach"
_CLOSED = {
    **dict.fromkeys(("--cleanenv", "-e", "--containall", "-C", "--compat"), _ENVIRONMENT),
    **dict.fromkeys(("--pid", "-p", "--fusemount"), _PROCESSES),
    **dict.fromkeys(("--net", "-n", "--network", "--netns-path"), _NETWORK),
}
_TAKEN = {
    "--container-image": "it is container.image",
    "--container-mounts": "write it under container.mounts",
    "--container-workdir": "the job starts where sbatch is called; sbatch.chdir changes it",
    "--bind": "write it under container.mounts",
    "-B": "write it under container.mounts",
    "--pwd": "the job starts where sbatch is called; sbatch.chdir changes it",
    "--cwd": "the job starts where sbatch is called; sbatch.chdir changes it",
}


def requeue(spec: JobSpec) -> Iterator[Contradiction]:
    """Find a program that cannot requeue itself."""
    requeue, launcher = spec.requeue, spec.launcher
    if requeue is None or requeue.by != "program":
        return
    if launcher.kind != "srun":
        yield Contradiction(
            ("requeue", "by"),
            f"a program under {launcher.kind} cannot requeue itself: the signal goes to every "
            f"process of the step, and {launcher.kind}'s agent, which has no handler, dies of it",
            "write launcher.kind: srun, or requeue.by: script",
        )
    if launcher.restarts:
        fix = "drop restarts, or write requeue.by: script"
        path = ("launcher", "restarts")
        yield Contradiction(path, "restarts would race with the program's own requeue", fix)


def tasks(spec: JobSpec) -> Iterator[Contradiction]:
    """Find what a task a process cannot be started with."""
    if spec.launcher.kind != "srun":
        return
    if spec.launcher.rendezvous != "static":
        path = ("launcher", "rendezvous")
        yield Contradiction(path, "the srun launcher has no such rendezvous", "leave it out")
    cpus, processes = spec.resources.cpus_per_node, spec.processes_per_node
    if cpus is not None and cpus < processes:
        what = f"{cpus} CPUs for {processes} tasks a node, and srun gives each task at least one"
        fix = f"ask for {processes} CPUs or more, or leave cpus_per_node out"
        yield Contradiction(("resources", "cpus_per_node"), what, fix)


def options(spec: JobSpec) -> Iterator[Contradiction]:
    """Find options of torchrun or accelerate that are not the user's to set."""
    kind = spec.launcher.kind
    for name in spec.launcher.options:
        path = ("launcher", "options", name)
        if kind == "srun":
            fix = "write options of srun under launcher.srun"
            yield Contradiction(path, "the srun launcher starts the program itself", fix)
        elif not re.fullmatch("[a-z][a-z0-9_-]*", name):
            fix = "write the long name without dashes in front, such as monitor-interval"
            yield Contradiction(path, "no option's name", fix)
        elif owner := reserved_option(kind, name.replace("-", "_")):
            yield Contradiction(path, "not yours to set", owner)


def container(spec: JobSpec) -> Iterator[Contradiction]:
    """Find container options without which the ranks do not reach the program."""
    if spec.container is None:
        return
    pyxis = spec.container.runtime == "pyxis"
    for index, option in enumerate(spec.container.options):
        path, name = ("container", "options", index), _option_name(option)
        if pyxis and not re.match("--(no-)?container-", option):
            fix = "write options of srun itself under launcher.srun"
            yield Contradiction(
                path, "no option of pyxis", fix, "--container-… or --no-container-…"
            )
        elif name in _TAKEN:
            yield Contradiction(path, "not yours to set", _TAKEN[name])
        elif not pyxis and name in _CLOSED:
            what = f"{name} keeps {_CLOSED[name]}"
            yield Contradiction(path, what, "leave it out; --no-home and --no-mount close parts")
    for index, mount in enumerate(spec.container.mounts):
        path = ("container", "mounts", index)
        if "," in mount:
            fix = "write each mount as an entry of its own; a path with a comma cannot be mounted"
            yield Contradiction(path, "a comma in a mount", fix)
        elif pyxis and re.search(r"\s", mount):
            fix = "mount the directory above it, or make a link without blanks"
            yield Contradiction(path, "a blank in a mount, at which pyxis would cut it", fix)


def _option_name(option: str) -> str:
    """Return an option without its value: `--bind=/data`, `-B/data`."""
    return option[:2] if re.match("-[^-]", option) else option.split("=", maxsplit=1)[0]
