"""Which of several nodes differ from the rest, and whether it is plain who is odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value", bound=Hashable)


def ones(values: Mapping[int, Value]) -> tuple[Value, dict[int, Value]]:
    """Return the usual value and those nodes that have another one.

    Of equally frequent values the first node's is taken for the usual one.
    """
    if not values:
        raise ValueError("no values")
    usual = Counter(values.values()).most_common(1)[0][0]
    return usual, {node: value for node, value in values.items() if value != usual}


def blamed(values: Mapping[int, Value], node: int) -> tuple[int, ...]:
    """Return who may be at fault for a node that differs: it alone, where most agree."""
    usual, _ = ones(values)
    most = sum(value == usual for value in values.values())
    if 2 * most > len(values):
        return (node,)
    return tuple(sorted(values)) if len(values) == 2 else ()


def culprits(bad: Iterable[tuple[int, int]]) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the nodes that explain bad pairs, and the pairs that no single node explains.

    A node is a culprit when it has two bad partners or more, and more than any partner of its own.
    """
    left = {(min(pair), max(pair)) for pair in bad}
    found: list[int] = []
    while left:
        counts = Counter(node for pair in left for node in pair)
        node, most = counts.most_common(1)[0]
        rivals = [n for n, count in counts.items() if count == most and n != node]
        if most < 2 or rivals:
            break
        found.append(node)
        left = {pair for pair in left if node not in pair}
    return found, sorted(left)
