"""What a cluster accepts in a field of a job, in words, and whether a value fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from slurmkit.launch.offer import Nodes, Offer, number
from slurmkit.slurm.grammar import GrammarError
from slurmkit.slurm.hostlist import expand_nodelist
from slurmkit.slurm.scalars import format_time, parse_memory, parse_time

_MOST_NAMES = 20


def accepted(offer: Offer, field: str) -> str | None:
    """Say in words what the cluster takes in a field; None where it is not known."""
    say = _SAY.get(field)
    return (say(offer) or None) if say else None


def fits(offer: Offer, field: str, value: Any) -> bool | None:
    """Tell whether the cluster takes a value; None where it is not known."""
    test = _FIT.get(field)
    if test is None or value is None:
        return None
    try:
        return test(offer, value)
    except (GrammarError, ValueError):
        return None


def _listed(names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    more = f", and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return ", ".join(known[:_MOST_NAMES]) + more


def _where(offer: Offer) -> str:
    known = [name for name in offer.asked if name in offer.limits]
    return f" in partition {', '.join(known)}" if known else ""


def _accounts(offer: Offer) -> list[str]:
    """Return the user's accounts that the partition takes; else what the partition says."""
    allowed = offer.allowed("AllowAccounts")
    denied = {name for text in offer.limit("DenyAccounts") for name in text.split(",")}
    mine = [name for name, _ in offer.associations if name not in denied]
    return [name for name in mine if allowed is None or name in allowed]


def _say_accounts(offer: Offer) -> str:
    return _mine_or_allowed(offer, _accounts(offer), "AllowAccounts")


def _qos(offer: Offer) -> list[str]:
    allowed = offer.allowed("AllowQos")
    names = sorted({name for _, own in offer.associations for name in own})
    return [name for name in names if allowed is None or name in allowed]


def _say_qos(offer: Offer) -> str:
    return _mine_or_allowed(offer, _qos(offer), "AllowQos")


def _mine_or_allowed(offer: Offer, mine: list[str], field: str) -> str:
    """List the user's own that the partition takes; where there is none, what it takes."""
    allowed = offer.allowed(field)
    if mine or allowed is None:
        return _listed(mine)
    return f"{_listed(sorted(allowed))}{_where(offer)}, none of which is yours"


def _most_time(offer: Offer) -> int | None:
    found = [seconds for text in offer.limit("MaxTime") if (seconds := parse_time(text))]
    return min(found) if found else None


def _say_time(offer: Offer) -> str:
    most = _most_time(offer)
    return f"at most {format_time(most)}{_where(offer)}" if most else ""


def _count_range(offer: Offer) -> tuple[int, int]:
    """Return the fewest and the most nodes that a job may have; 0 for the most: not known."""
    there: dict[str, int] = {}
    for group in offer.nodes:
        there[group.partition] = there.get(group.partition, 0) + group.count
    most = [max(there.values(), default=0), *map(number, offer.limit("MaxNodes"))]
    return max([1, *map(number, offer.limit("MinNodes"))]), min(most)


def _say_nodes(offer: Offer) -> str:
    least, most = _count_range(offer)
    return f"{least} to {most}{_where(offer)}" if most else ""


def _most(offer: Offer, size: Callable[[Nodes], int], key: str) -> int:
    there = max(map(size, offer.nodes), default=0)
    return min([there, *filter(None, map(number, offer.limit(key)))])


def _most_cpus(offer: Offer) -> int:
    return _most(offer, lambda group: group.cpus, "MaxCPUsPerNode")


def _most_memory(offer: Offer) -> int:
    return _most(offer, lambda group: group.memory, "MaxMemPerNode")


def _most_gpus(offer: Offer) -> int:
    return max((sum(group.gpus.values()) for group in offer.nodes), default=0)


def _types(offer: Offer) -> list[str]:
    return sorted({kind for group in offer.nodes for kind in group.gpus if kind})


def _features(offer: Offer) -> set[str]:
    return {feature for group in offer.nodes for feature in group.features}


def _say_most(most: int, unit: str, offer: Offer) -> str:
    return f"at most {most}{unit} a node{_where(offer)}" if offer.nodes else ""


def _wanted_features(text: str) -> set[str]:
    """Return the features in a constraint such as `[a100*2&ib]|h100`."""
    return set(re.findall(r"[^&|\[\]()*,:\s]+", re.sub(r"[*:]\d+", "", text)))


def _names(groups: Iterable[Nodes]) -> set[str]:
    return {name for group in groups for name in expand_nodelist(group.names)}


def _all_in(value: str, known: Collection[str]) -> bool | None:
    return set(value.split(",")) <= set(known) if known else None


def _say_names(offer: Offer, field: str) -> str:
    if field not in offer.names:
        return ""
    return _listed(offer.names[field]) or "there are none"


_SAY: dict[str, Callable[[Offer], str]] = {
    "resources.partition": lambda o: _listed(o.limits or (group.partition for group in o.nodes)),
    "resources.account": _say_accounts,
    "resources.qos": _say_qos,
    "resources.time": _say_time,
    "resources.nodes": _say_nodes,
    "resources.cpus_per_node": lambda o: _say_most(_most_cpus(o), "", o),
    "resources.processes_per_node": lambda o: _say_most(_most_cpus(o), "", o),
    "resources.memory_per_node": lambda o: _say_most(_most_memory(o), "M", o),
    "resources.memory_per_cpu": lambda o: _say_most(_most_memory(o), "M", o),
    "resources.gpus_per_node": lambda o: _say_most(_most_gpus(o), "", o),
    "resources.gpu_type": lambda o: _listed(_types(o)) or ("no types" if o.nodes else ""),
    "resources.constraint": lambda o: (
        _listed(sorted(_features(o))) or ("no node has features" if o.nodes else "")
    ),
    "resources.nodelist": lambda o: _listed(group.names for group in o.nodes),
    "resources.exclude": lambda o: _listed(group.names for group in o.nodes),
    "resources.reservation": lambda o: _say_names(o, "resources.reservation"),
    "sbatch.licenses": lambda o: _say_names(o, "sbatch.licenses"),
    "sweep": lambda o: f"at most {o.array} points" if o.array else "",
    "depends_on": lambda _: "ids of jobs, such as {afterok: [1234]}",
}

_FIT: dict[str, Callable[[Offer, Any], bool | None]] = {
    "resources.partition": lambda o, v: _all_in(v, o.limits),
    "resources.account": lambda o, v: _all_in(v, _accounts(o) or o.allowed("AllowAccounts") or ()),
    "resources.qos": lambda o, v: _all_in(v, _qos(o) or o.allowed("AllowQos") or ()),
    "resources.time": lambda o, v: not (most := _most_time(o)) or (parse_time(v) or 10**9) <= most,
    "resources.nodes": lambda o, v: (r := _count_range(o))[0] <= v <= (r[1] or v),
    "resources.cpus_per_node": lambda o, v: not o.nodes or v <= _most_cpus(o),
    "resources.processes_per_node": lambda o, v: not o.nodes or v <= _most_cpus(o),
    "resources.memory_per_node": lambda o, v: not o.nodes or parse_memory(v) <= _most_memory(o),
    "resources.memory_per_cpu": lambda o, v: not o.nodes or parse_memory(v) <= _most_memory(o),
    "resources.gpus_per_node": lambda o, v: not o.nodes or v <= _most_gpus(o),
    "resources.gpu_type": lambda o, v: not o.nodes or v in _types(o),
    "resources.constraint": lambda o, v: not o.nodes or _wanted_features(v) <= _features(o),
    "resources.nodelist": lambda o, v: not o.nodes or set(expand_nodelist(v)) <= _names(o.nodes),
    "resources.exclude": lambda o, v: (
        not o.nodes
        or (
            set(expand_nodelist(v)) <= _names(o.everywhere)
            and not _names(o.nodes) <= set(expand_nodelist(v))
        )
    ),
    "resources.reservation": lambda o, v: _all_in(v, o.names.get("resources.reservation", ())),
}
