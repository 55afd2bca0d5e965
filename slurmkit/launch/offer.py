"""What a cluster has, asked after it has refused a job: partitions, nodes, accounts, limits."""

from __future__ import annotations

import getpass
import re
from collections.abc import Collection
from dataclasses import dataclass

from slurmkit.slurm.commands import ask

_NODES = ("sinfo", "--noheader", "--exact", "--format=%P|%D|%c|%m|%G|%f|%N")
_PARTITIONS = ("scontrol", "--oneliner", "show", "partition")
_RESERVATIONS = ("scontrol", "--oneliner", "show", "reservation")
_LICENSES = ("scontrol", "--oneliner", "show", "license")
_CONFIG = ("scontrol", "show", "config")
_GPU = re.compile(r"gpu(?::(?P<type>[^:,()]+))?:(?P<count>\d+)")
_NO_LIMIT = ("UNLIMITED", "INFINITE", "N/A", "NONE", "0", "")


@dataclass(frozen=True, slots=True)
class Nodes:
    """A group of like nodes of a partition."""

    partition: str
    count: int
    cpus: int
    memory: int
    """Megabytes."""
    gpus: dict[str, int]
    """By type; the empty type where the site names none."""
    features: frozenset[str]
    names: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What the cluster has for a job; what could not be asked is empty."""

    asked: tuple[str, ...]
    """The partitions that the job goes to."""
    limits: dict[str, dict[str, str]]
    """`scontrol show partition` by partition and key."""
    nodes: list[Nodes]
    """Those of the job's partitions, or all where it names none that exists."""
    everywhere: list[Nodes]
    associations: list[tuple[str, frozenset[str]]]
    """The user's accounts, each with its QOS."""
    names: dict[str, list[str]]
    """Reservations and licenses, by field."""
    array: int | None = None
    """MaxArraySize."""

    def limit(self, key: str) -> list[str]:
        """Return the limits of the job's partitions under one key of scontrol's."""
        found = [self.limits[name].get(key, "") for name in self.asked if name in self.limits]
        return [text for text in found if text.upper() not in _NO_LIMIT]

    def allowed(self, key: str) -> set[str] | None:
        """Return the names that a partition is open to; None for all."""
        lists = [set(text.split(",")) for text in self.limit(key) if text != "ALL"]
        return set.intersection(*lists) if lists else None


def ask_offer(partition: str | None, fields: Collection[str]) -> Offer:
    """Ask what the cluster accepts in these fields, of a job that names these partitions."""
    extra = {
        "resources.reservation": _RESERVATIONS,
        "sbatch.licenses": _LICENSES,
        "sweep": _CONFIG,
    }
    wanted = {field: command for field, command in extra.items() if field in fields}
    user = ("sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={getpass.getuser()}")
    nodes, partitions, own, *others = ask(
        _NODES, _PARTITIONS, (*user, "format=Account,QOS"), *wanted.values()
    )
    texts = dict(zip(wanted, others, strict=True))
    return read_offer(partition, nodes, partitions, own, texts)


def read_offer(
    partition: str | None,
    nodes: str | None,
    partitions: str | None,
    own: str | None,
    texts: dict[str, str | None],
) -> Offer:
    """Read the answers of the commands that `ask_offer` runs; None for one that failed."""
    limits = {row["PartitionName"]: row for row in _rows(partitions) if "PartitionName" in row}
    default = [name for name, row in limits.items() if row.get("Default") == "YES"]
    asked = tuple(partition.split(",")) if partition else tuple(default)
    groups = [group for line in (nodes or "").splitlines() if (group := _group(line))]
    mine = [group for group in groups if group.partition in asked]
    associations = [
        (account, frozenset(filter(None, qos.split(","))))
        for account, _, qos in (line.partition("|") for line in (own or "").splitlines())
        if account
    ]
    names = {
        field: [row[key] for row in _rows(texts.get(field)) if key in row]
        for field, key in (
            ("resources.reservation", "ReservationName"),
            ("sbatch.licenses", "LicenseName"),
        )
        if texts.get(field) is not None
    }
    most = re.search(r"^MaxArraySize\s*=\s*(\d+)", texts.get("sweep") or "", re.M)
    return Offer(
        asked,
        limits,
        mine or groups,
        groups,
        associations,
        names,
        int(most[1]) if most else None,
    )


def _rows(text: str | None) -> list[dict[str, str]]:
    words = ((word.partition("=") for word in line.split()) for line in (text or "").splitlines())
    return [{key: value for key, equals, value in row if equals} for row in words]


def _group(line: str) -> Nodes | None:
    cells = line.split("|")
    if len(cells) < 7 or not cells[1].isdigit():
        return None
    name, count, cpus, memory, gres, features, nodes = cells[:7]
    gpus: dict[str, int] = {}
    for match in _GPU.finditer(gres):
        kind = match["type"] or ""
        gpus[kind] = gpus.get(kind, 0) + int(match["count"])
    own = frozenset(re.findall(r"[^,|]+", features)) - {"(null)"}
    return Nodes(name.rstrip("*"), int(count), number(cpus), number(memory), gpus, own, nodes)


def number(text: str) -> int:
    """Return the number that a text begins with, such as 8000 of `8000+`; else 0."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0
