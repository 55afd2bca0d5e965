"""All-reduces over all ranks, and over fewer when that fails or one might be slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Dict, Tuple

from .facts import Facts, Trial

_WHOLE = 40.0  # seconds for all of them together, and half a one more for each node
_PART = 20.0  # ... and for parts, all at a time
_MARGIN = 4.0  # by which a round outlasts its ranks

Ask = Callable[..., Dict[int, Any]]
Group = Tuple[int, ...]


def reduce_all(facts: Facts, nodes: Sequence[int], ask: Ask, left: Callable[..., float]) -> None:
    """Try all nodes together; then each alone if that failed, and neighbours two by two."""
    if not nodes:
        return
    whole = _try(facts, [tuple(nodes)], ask, left(0.5, _WHOLE + len(nodes) / 2), product=True)
    if not whole:
        return
    fine = all(worked(trial) for trial in whole)
    if not fine and len(nodes) > 1:
        alone = _try(facts, [(node,) for node in nodes], ask, left(0.4, _PART))
        nodes = [trial.nodes[0] for trial in alone if worked(trial)]
    if len(nodes) > 2 or (not fine and len(nodes) == 2 and len(whole[0].nodes) > 2):
        for pairs in neighbours(nodes):
            if left(1.0) > _PART / 2:
                _try(facts, pairs, ask, left(0.4, _PART))


def neighbours(nodes: Sequence[int]) -> list[list[Group]]:
    """Return every node with the next one, and then with the one before: each round apart."""
    count = len(nodes)
    even = [(nodes[at], nodes[at + 1]) for at in range(0, count - 1, 2)]
    odd = [(nodes[at], nodes[at + 1]) for at in range(1, count - 1, 2)]
    if count > 2 and count % 2 == 0:
        odd.append((nodes[-1], nodes[0]))
    last = [(nodes[-1], nodes[0])] if count > 2 and count % 2 else []
    return [list(map(tuple, pairs)) for pairs in (even, odd, last) if pairs]


def worked(trial: Trial) -> bool:
    """Tell whether every rank of a trial came through."""
    return len(trial.said) == len(trial.nodes) and all(
        "error" not in said and all("error" not in rank for rank in said["ranks"])
        for said in trial.said.values()
    )


def _try(
    facts: Facts, groups: Sequence[Group], ask: Ask, seconds: float, product: bool = False
) -> list[Trial]:
    """Do the all-reduces of groups that have no node in common, all at a time.

    A group whose first node has no port to meet at is left out.
    """
    settings = facts.settings
    meet = {
        node: (settings.nodes[node].address, ports[0])
        for node, ports in ask("spare_ports", 5.0, [g[0] for g in groups], count=1).items()
    }
    if len(groups) == 1 and settings.master_port and groups[0][0] == 0:
        meet[0] = (settings.master_address, settings.master_port)
    groups = [group for group in groups if group[0] in meet]
    wanted = {}
    for group in groups:
        address, port = meet[group[0]]
        for at, node in enumerate(group):
            wanted[str(node)] = {
                "processes": settings.processes_per_node,
                "first": at * settings.processes_per_node,
                "world": len(group) * settings.processes_per_node,
                "backend": settings.backend or ("nccl" if settings.gpus_per_node else "gloo"),
                "address": address,
                "port": port,
                "product": product,
            }
    nodes = [node for group in groups for node in group]
    said = ask("ranks", seconds + _MARGIN + 4, nodes, groups=wanted)
    trials = [
        Trial(group, {node: said[node] for node in group if node in said}) for group in groups
    ]
    facts.trials += trials
    return trials
