"""What a job asks of Slurm that contradicts itself: shape, memory, time, nodes, GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.spec.contradictions.found import Contradiction
from slurmkit.spec.errors import nearest

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


def shape(spec: JobSpec) -> Iterator[Contradiction]:
    """Find more processes than GPUs."""
    resources = spec.resources
    processes, gpus = resources.processes_per_node, resources.gpus_per_node
    if processes and gpus and processes > gpus:
        yield Contradiction(
            ("resources", "processes_per_node"),
            f"{processes} processes for {gpus} GPUs a node",
            f"leave processes_per_node out (it is then {gpus}), or ask for more GPUs",
        )


def sharing(spec: JobSpec) -> Iterator[Contradiction]:
    """Find nodes that are shared with nobody and with everybody."""
    if spec.resources.exclusive and spec.sbatch.get("oversubscribe", "false") != "false":
        fix = "keep one: exclusive shares the nodes with nobody, oversubscribe with everybody"
        yield Contradiction(("sbatch", "oversubscribe"), "oversubscribe with exclusive", fix)


def memory(spec: JobSpec) -> Iterator[Contradiction]:
    """Find memory that is asked for twice."""
    if spec.resources.memory_per_node is not None and spec.resources.memory_per_cpu is not None:
        yield Contradiction(
            ("resources", "memory_per_cpu"),
            "memory_per_cpu together with memory_per_node: sbatch refuses both",
            "keep one of them (memory_per_node: 0 is all of the node's memory)",
        )


def time(spec: JobSpec) -> Iterator[Contradiction]:
    """Find a time limit that is over before its warning."""
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


def nodelist(spec: JobSpec) -> Iterator[Contradiction]:
    """Find lists of nodes that do not fit the number of nodes."""
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


def gpus(spec: JobSpec) -> Iterator[Contradiction]:
    """Find GPU types and counts that the site does not have."""
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
