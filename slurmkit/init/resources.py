"""The lines of `resources:` in a first job file, each with the reason for its value. Pure."""

from __future__ import annotations

from slurmkit.init.choose import Choice, list_partitions
from slurmkit.init.cluster import Cluster
from slurmkit.slurm.grammar import parse_time
from slurmkit.spec.dump import dump_yaml

_COLUMN = 28
_GPUS = 4


class Plain(str):
    """Text for a field that takes it as it is written: `12:00:00` needs no quotes there."""

    __slots__ = ()


def scalar(value: object) -> str:
    """Write a value as YAML, in quotes where it needs them."""
    return str(value) if isinstance(value, Plain) else dump_yaml(value).strip()


def line(key: str, value: object, note: str = "", *, active: bool = True) -> str:
    """Write one field, its note in a column of its own; not active is commented out."""
    text = f"{key}: {scalar(value)}" if active else f"# {key}: {value}"
    return f"  {text:<{_COLUMN}}# {note}" if note else f"  {text}"


def gpu_resources(choice: Choice | None, time: str) -> list[str]:
    """Ask for whole nodes and all of their GPUs."""
    if choice is None:
        return [
            line("nodes", 2),
            line("gpus_per_node", _GPUS, "as many as a node of your cluster has; a process each"),
            line("cpus_per_node", 32, "as many as a node has; take it out where a profile says"),
            line("memory_per_node", 0, "all of a node's memory"),
            _time(time, None),
        ]
    kind = choice.kind
    lines = [line("nodes", choice.nodes), line("gpus_per_node", choice.gpus, "one process each")]
    if choice.gpu_type:
        others = [f"{name or 'untyped'} ({count} a node)" for name, count in choice.other_gpus]
        note = f"there are also {', '.join(others)}" if others else ""
        lines.append(line("gpu_type", choice.gpu_type, note))
    lines += [
        line("cpus_per_node", kind.cpus, "all of a node's, shared by its processes"),
        line("memory_per_node", 0, "all of a node's memory"),
        _time(time, choice),
    ]
    return lines


def cpu_resources(choice: Choice | None, time: str) -> list[str]:
    """Ask for a corner of two nodes."""
    return [
        line("nodes", choice.nodes if choice else 2),
        line("processes_per_node", 2),
        line("cpus_per_node", 2, "shared by the processes of a node"),
        _time(time, choice),
    ]


def where(cluster: Cluster | None, choice: Choice | None) -> list[str]:
    """Name the partition and the account, and what else there is."""
    if cluster is None or choice is None:
        return [
            line("partition", "gpu", "`sinfo --summarize` on the cluster names them", active=False),
            line("account", "my-project", "what is charged, where the site asks", active=False),
        ]
    others = list_partitions(choice.others)
    lines = [line("partition", choice.partition.name, f"or {others}" if others else "")]
    if cluster.accounts:
        first, *more = cluster.accounts
        return [*lines, line("account", first, f"or {', '.join(more[:4])}" if more else "")]
    return [*lines, line("account", "my-project", "Slurm names none for you", active=False)]


def shorter(time: str, limit: str | None) -> str:
    """Return the shorter of two time limits; None is no limit."""
    if limit is None:
        return time
    allowed, wanted = parse_time(limit), parse_time(time)
    return limit if allowed is not None and (wanted is None or allowed < wanted) else time


def _time(time: str, choice: Choice | None) -> str:
    """Write the time limit, and how Slurm reads it: 10:00 is minutes, not hours."""
    form = "hours:minutes:seconds" if time.count(":") == 2 else "minutes:seconds"
    limit = choice.partition.time_limit if choice else None
    asked = shorter(time, limit)
    if choice is None or limit is None:
        return line("time", Plain(time), form)
    allowed = f"{choice.partition.name} allows {limit}"
    return line("time", Plain(asked), f"{form}; {allowed}" if asked == time else allowed)
