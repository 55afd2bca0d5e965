"""What Slurm's commands say of a cluster, as values. Pure: texts in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from slurmkit.slurm.grammar import GrammarError, parse_time

_FIELDS = 8
_OUT_OF_USE = re.compile("down|drain|drng|fail|future|inval|unk", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NodeKind:
    """Nodes of a partition that are all alike."""

    count: int
    cpus: int
    gpus: Mapping[str, int]
    """GPUs of a node by type; the type is empty where the site names none."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that is up, and its nodes."""

    name: str
    default: bool
    time_limit: str | None
    """As sbatch takes it; None is no limit."""
    max_nodes: int | None
    kinds: tuple[NodeKind, ...]

    @property
    def seconds(self) -> int | None:
        """The time limit in seconds."""
        return None if self.time_limit is None else parse_time(self.time_limit)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a login node can know of its cluster."""

    partitions: tuple[Partition, ...]
    name: str | None = None
    version: str | None = None
    """Slurm's version, such as `23.11.4`."""
    select_type: str | None = None
    accounts: tuple[str, ...] = ()
    """The user's, the default first."""

    @property
    def gpu_types(self) -> dict[str, int]:
        """GPU types by name, and the most of each that a node has."""
        most: dict[str, int] = {}
        for partition in self.partitions:
            for kind in partition.kinds:
                for gpu, count in kind.gpus.items():
                    most[gpu] = max(count, most.get(gpu, 0))
        return most


def read_cluster(nodes: str | None, config: str | None, accounts: str | None) -> Cluster | None:
    """Read what `slurmkit.slurm.commands.describe_cluster` gives; None where there is no Slurm."""
    # In a maintenance all nodes are out of use, and still what there is.
    partitions = _partitions(nodes or "", _OUT_OF_USE) or _partitions(nodes or "", None)
    if not partitions:
        return None
    settings = _settings(config or "")
    version = re.match(r"\d+\.\d+(\.\d+)?", settings.get("SLURM_VERSION", ""))
    name = settings.get("ClusterName")
    return Cluster(
        partitions=partitions,
        name=name,
        version=version[0] if version else None,
        select_type=settings.get("SelectType"),
        accounts=_accounts(accounts or "", name),
    )


def _partitions(text: str, left_out: re.Pattern[str] | None) -> tuple[Partition, ...]:
    """Read the partitions that are up, without nodes whose state matches `left_out`."""
    found: dict[str, Partition] = {}
    for name, up, limit, size, *node, state in _rows(text):
        kind = _kind(*node)
        if up != "up" or kind is None or (left_out and left_out.match(state)):
            continue
        plain = name.removesuffix("*")
        kinds = _added(found[plain].kinds if plain in found else (), kind)
        most = size.rpartition("-")[2]
        found[plain] = Partition(
            name=plain,
            default=name.endswith("*"),
            time_limit=_limit(limit),
            max_nodes=int(most) if most.isdigit() else None,
            kinds=kinds,
        )
    return tuple(found.values())


def _added(kinds: tuple[NodeKind, ...], kind: NodeKind) -> tuple[NodeKind, ...]:
    """Add nodes to the kinds of a partition: sinfo has a line for each state that nodes are in."""
    alike = [old for old in kinds if (old.cpus, old.gpus) == (kind.cpus, kind.gpus)]
    if not alike:
        return (*kinds, kind)
    more = replace(kind, count=kind.count + alike[0].count)
    return tuple(more if old is alike[0] else old for old in kinds)


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == _FIELDS and line.isprintable():
            yield fields


def _kind(count: str, cpus: str, gres: str) -> NodeKind | None:
    numbers = [text.rstrip("+") for text in (count, cpus)]  # 64+ is at least 64
    if not all(text.isdigit() for text in numbers) or numbers[0] == "0":
        return None
    return NodeKind(int(numbers[0]), int(numbers[1]), read_gpus(gres))


def read_gpus(gres: str) -> dict[str, int]:
    """Read the GPUs of a node from its generic resources: `gpu:a100:4(S:0-1),nvme:1`."""
    found: dict[str, int] = {}
    for part in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *rest = part.split(":")
        words = [word for word in rest if word != "no_consume"]
        if name == "gpu" and words and words[-1].isdigit():
            kind = ":".join(words[:-1])
            found[kind] = found.get(kind, 0) + int(words[-1])
    return {kind: count for kind, count in found.items() if count}


def _limit(text: str) -> str | None:
    try:
        return None if parse_time(text) is None else text
    except GrammarError:  # sinfo's own words, such as n/a
        return None


def _settings(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def _accounts(text: str, cluster: str | None) -> tuple[str, ...]:
    default, found = "", []
    for line in text.splitlines():
        place, _, text_of_account = line.partition("|")
        account, *rest = text_of_account.split("|")
        if account and (cluster is None or place in ("", cluster)):
            default = rest[0] if rest else default
            found.append(account)
    return tuple(dict.fromkeys(sorted(found, key=lambda name: (name != default, name))))
