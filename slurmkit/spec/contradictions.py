"""What single fields cannot know: parts of a job that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from slurmkit.spec.errors import Path, nearest
from slurmkit.spec.reserved import reserved

if TYPE_CHECKING:
    from slurmkit.spec.model import Entrypoint, JobSpec

_SUFFIX = re.compile(r"[A-Za-z0-9._-]*\Z")

EPHEMERAL_PORTS = range(32768, 61000)
"""Ports that Linux hands out to clients (net.ipv4.ip_local_port_range): taken now and then."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A field, what is wrong with it, and what to do."""

    path: Path
    what: str
    fix: str
    expected: str | None = None


def check_entrypoint(entrypoint: Entrypoint) -> None:
    """Raise for an entrypoint that is not exactly one program."""
    raise_all(_entrypoint(entrypoint))


def check_job(spec: JobSpec) -> None:
    """Raise one error that holds every contradiction of the job."""
    raise_all(found for check in _CHECKS for found in check(spec))


def raise_all(found: Iterable[Contradiction]) -> None:
    """Raise one error that holds all that was found, if anything was."""
    if problems := list(found):
        text = "; ".join(problem.what for problem in problems)
        raise PydanticCustomError("contradictions", "{text}", {"text": text, "found": problems})


def _entrypoint(entrypoint: Entrypoint) -> Iterator[Contradiction]:
    kinds = ("module", "script", "command")
    given = [kind for kind in kinds if getattr(entrypoint, kind) is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} together" if given else "no program to run"
        fix = "keep one of them" if given else "write one of module:, script: and command: under it"
        yield Contradiction((), what, fix, "exactly one of module, script and command")
    elif given == ["command"]:
        if not entrypoint.command or not entrypoint.command[0]:
            yield Contradiction(("command",), "a command without a program", "write its name first")
        if entrypoint.args:
            yield Contradiction(("args",), "args beside a command", "write them into command")
        if entrypoint.config is not None:
            fix = "use module or script, or write the config's path into command"
            yield Contradiction(("config",), "a command takes no config", fix)
    if entrypoint.module == "":
        yield Contradiction(("module",), "an empty module name", "write a name such as my.train")


def _shape(spec: JobSpec) -> Iterator[Contradiction]:
    resources = spec.resources
    processes, gpus = resources.processes_per_node, resources.gpus_per_node
    if processes and gpus and processes > gpus:
        yield Contradiction(
            ("resources", "processes_per_node"),
            f"{processes} processes for {gpus} GPUs a node",
            f"leave processes_per_node out (it is then {gpus}), or ask for more GPUs",
        )
    if spec.launcher.kind == "srun" and spec.launcher.rendezvous != "static":
        path = ("launcher", "rendezvous")
        yield Contradiction(path, "the srun launcher has no such rendezvous", "leave it out")


def _requeue(spec: JobSpec) -> Iterator[Contradiction]:
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


def _sharing(spec: JobSpec) -> Iterator[Contradiction]:
    if spec.resources.exclusive and spec.sbatch.get("oversubscribe", "false") != "false":
        fix = "keep one: exclusive shares the nodes with nobody, oversubscribe with everybody"
        yield Contradiction(("sbatch", "oversubscribe"), "oversubscribe with exclusive", fix)


def _memory(spec: JobSpec) -> Iterator[Contradiction]:
    if spec.resources.memory_per_node is not None and spec.resources.memory_per_cpu is not None:
        yield Contradiction(
            ("resources", "memory_per_cpu"),
            "memory_per_cpu together with memory_per_node: sbatch refuses both",
            "keep one of them (memory_per_node: 0 is all of the node's memory)",
        )


def _time(spec: JobSpec) -> Iterator[Contradiction]:
    if spec.resources.time is None or spec.requeue is None or "time_limit" not in spec.requeue.when:
        return
    from slurmkit.slurm.grammar import parse_time

    seconds = parse_time(spec.resources.time)
    if seconds is not None and spec.requeue.lead_time >= seconds:
        yield Contradiction(
            ("requeue", "lead_time"),
            f"lead_time of {spec.requeue.lead_time} s in a job of {seconds} s",
            f"make lead_time shorter, or time longer ({spec.resources.time} is {seconds} s)",
        )


def _nodelist(spec: JobSpec) -> Iterator[Contradiction]:
    resources = spec.resources
    if resources.nodelist is None:
        return
    from slurmkit.slurm.grammar import expand_nodelist

    names = expand_nodelist(resources.nodelist)
    if len(set(names)) != resources.nodes:
        yield Contradiction(
            ("resources", "nodelist"),
            f"nodes: {resources.nodes}, but nodelist names {len(set(names))}",
            f"name {resources.nodes} nodes, or write nodes: {len(set(names))}",
        )
    both = sorted(set(names) & set(expand_nodelist(resources.exclude) if resources.exclude else ()))
    if both:
        fix = f"take {', '.join(both[:5])} out of one of the two"
        yield Contradiction(("resources", "exclude"), "excludes nodes that nodelist asks for", fix)


def _network(spec: JobSpec) -> Iterator[Contradiction]:
    if not _SUFFIX.match(spec.site.host_suffix):
        expected = "letters, digits, `.`, `_` and `-`"
        fix = "write what follows the node's name, such as -ib"
        yield Contradiction(("site", "host_suffix"), "no part of a host name", fix, expected)
    expected = "1024 to 32767, below the ports that Linux hands out to clients"
    port, (first, last) = spec.launcher.port, spec.site.port_range
    if port != "auto" and not 1024 <= port < EPHEMERAL_PORTS.start:
        fix = "write auto: the port then follows from the job id"
        yield Contradiction(("launcher", "port"), f"port {port}", fix, expected)
    if not 1024 <= first <= last < EPHEMERAL_PORTS.start:
        fix = "write [15000, 31999] or a part of it"
        path = ("site", "port_range")
        yield Contradiction(path, f"ports {first} to {last}", fix, expected)


def _gpus(spec: JobSpec) -> Iterator[Contradiction]:
    resources, types = spec.resources, spec.site.gpu_types
    if resources.gpu_type is not None and re.search(r"[\s:,=*()]", resources.gpu_type):
        path = ("resources", "gpu_type")
        fix = "write the type alone, and its number as gpus_per_node"
        yield Contradiction(path, "more than a GPU type", fix, "a name such as a100")
    elif resources.gpu_type is not None and not resources.gpus_per_node:
        fix = "write gpus_per_node, or drop gpu_type"
        yield Contradiction(("resources", "gpu_type"), "a GPU type, but no GPUs", fix)
    elif resources.gpu_type is not None and types and resources.gpu_type not in types:
        known = ", ".join(types)
        like = nearest(resources.gpu_type, types)
        fix = f"did you mean {like}?" if like else f"write one of {known}"
        path = ("resources", "gpu_type")
        yield Contradiction(path, "the profile knows no such GPU type", fix, f"one of {known}")
    elif (most := types.get(resources.gpu_type or "")) and resources.gpus_per_node > most:
        yield Contradiction(
            ("resources", "gpus_per_node"),
            f"{resources.gpus_per_node} GPUs, where a {resources.gpu_type} node has {most}",
            f"ask for {most}, and for more nodes",
        )


def _environment(spec: JobSpec) -> Iterator[Contradiction]:
    environment = spec.environment
    each = ("venv", "conda", "python")
    pythons = [name for name in each if getattr(environment, name) is not None]
    for name in pythons[1:]:
        fix = f"keep one, and write {name}: null to drop what a profile says: each brings a Python"
        yield Contradiction(("environment", name), f"{name} together with {pythons[0]}", fix)
    for name in environment.variables:
        if owner := reserved(name):
            path = ("environment", "variables", name)
            yield Contradiction(path, "not yours to set", owner)
    if (environment.conda or "").startswith("-"):
        what, fix = "an option where a name belongs", "write the environment's name or path"
        yield Contradiction(("environment", "conda"), what, fix)
    for index, name in enumerate(environment.pass_):
        if name in environment.variables:
            fix = "keep it in pass if it is a secret, else in variables"
            what = f"{name} is in variables too"
            yield Contradiction(("environment", "pass", index), what, fix)
    exported = spec.sbatch.get("export", "ALL").split(",")
    kept = [name for name in environment.pass_ if name not in exported]
    if kept and "ALL" not in exported:
        yield Contradiction(
            ("sbatch", "export"),
            f"keeps {', '.join(kept)}, which environment.pass takes along, out of the job",
            f"leave export out, or write export: {','.join(environment.pass_)}",
        )


def _options(spec: JobSpec) -> Iterator[Contradiction]:
    if not spec.sbatch and not spec.launcher.srun and spec.site.slurm_version is None:
        return
    from slurmkit.slurm.grammar import GrammarError, parse_version
    from slurmkit.slurm.options import Tool, check_option

    version = spec.site.slurm_version
    if version is not None:
        try:
            parse_version(version)
        except GrammarError as error:
            path = ("site", "slurm_version")
            yield Contradiction(path, "no version", error.fix, error.expected)
            return
    given: dict[tuple[str, ...], str] = {}
    given |= {("sbatch", name): value for name, value in spec.sbatch.items()}
    given |= {("launcher", "srun", name): value for name, value in spec.launcher.srun.items()}
    for where, value in given.items():
        tool: Tool = "sbatch" if where[0] == "sbatch" else "srun"
        try:
            check_option(tool, where[-1], value, version)
        except GrammarError as error:
            what = f"this option of {tool} cannot be set like this"
            yield Contradiction(where, what, error.fix, error.expected)


def _sweep(spec: JobSpec) -> Iterator[Contradiction]:
    from slurmkit.spec.sweep import missing_path

    for dotted in spec.sweep:
        if problem := missing_path(spec, dotted):
            yield Contradiction(("sweep", dotted), *problem)
    if spec.sweep_limit is not None and not spec.sweep:
        fix = "drop it, or write a sweep"
        yield Contradiction(("sweep_limit",), "sweep_limit without a sweep", fix)


def _dependencies(spec: JobSpec) -> Iterator[Contradiction]:
    if not spec.depends_on:
        return
    from slurmkit.slurm.grammar import GrammarError, check_dependency

    for kind, jobs in spec.depends_on.items():
        for index, job in enumerate(jobs):
            path = ("depends_on", kind, index)
            if re.search("[:,?]", job):
                yield Contradiction(
                    path, "more than one job", "write each id as an entry of its own"
                )
                continue
            try:
                check_dependency(f"{kind}:{job}")
            except GrammarError as error:
                yield Contradiction(path, "no job id", error.fix, error.expected)


_CHECKS = (
    *(
        _shape,
        _requeue,
        _sharing,
        _memory,
        _time,
        _nodelist,
        _network,
        _gpus,
        _environment,
        _options,
    ),
    *(_sweep, _dependencies),
)
