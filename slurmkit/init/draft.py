"""A first job file and a draft of a profile, as text. Pure: the same findings, the same text."""

from __future__ import annotations

from slurmkit.init.choose import Choice, choose, list_partitions
from slurmkit.init.cluster import Cluster
from slurmkit.init.gallery import STARTS, fill
from slurmkit.init.place import Place
from slurmkit.init.resources import cpu_resources, gpu_resources, shorter, where
from slurmkit.slurm.grammar import parse_time

_COUNTS_GPUS = ("select/cons_tres", None)
"""How nodes are selected where Slurm takes --gpus-per-node; None is not known."""


def suggest(cluster: Cluster | None, place: Place) -> str:
    """Choose the template for somebody who named none."""
    if cluster is not None and choose(cluster, gpus=True) is None:
        return "cpu"
    return place.framework or "torchrun"


def draft_job(
    template: str,
    cluster: Cluster | None,
    place: Place,
    *,
    profile: str | None = None,
    runtime: str = "pyxis",
) -> str:
    """Fill a template with what was found out.

    Args:
        template: its name in the gallery.
        cluster: None where there is no Slurm.
        place: what the current directory tells.
        profile: a profile of this cluster that exists; partition and account are left to it.
        runtime: the container runtime that there is.
    """
    start = STARTS[template]
    choice = choose(cluster, gpus=start.gpus) if cluster else None
    ask = gpu_resources if start.gpus else cpu_resources
    lines = ask(choice, start.time)
    if profile is None:
        lines += where(cluster, choice)
    values = {
        "about": start.about,
        "name": place.name or template,
        "profile": profile,
        "resources": lines,
        "place": place,
        "gpus": start.gpus,
        "nodes": choice.nodes if choice else 2,
        "processes": choice.gpus if choice else 4,
        "runtime": runtime,
        "lead_time": _lead_time(start.time, choice),
    }
    return fill(template, values)


def _lead_time(time: str, choice: Choice | None) -> int:
    """Return the seconds to save in: a quarter of a short job, five minutes of a long one."""
    seconds = parse_time(shorter(time, choice.partition.time_limit if choice else None)) or 0
    return max(60, min(300, seconds // 4))


def draft_profile(cluster: Cluster) -> str:
    """Write what Slurm tells of its cluster as a profile; the rest are questions in comments."""
    choice = choose(cluster, gpus=True) or choose(cluster, gpus=False)
    types = {name: count for name, count in cluster.gpu_types.items() if name}
    values = {
        "cluster": cluster,
        "resources": where(cluster, choice),
        "partitions": list_partitions(cluster.partitions),
        "gpu_types": types,
        # --gpus-per-node came with select/cons_tres (https://slurm.schedmd.com/cons_tres.html).
        "gpu_request": "gpus-per-node" if cluster.select_type in _COUNTS_GPUS else "gres",
    }
    return fill("profile", values)
