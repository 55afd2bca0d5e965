"""How far a word is from another, in slips of the finger."""

from __future__ import annotations


def distance(one: str, other: str) -> int:
    """Return how many letters are wrong, missing, too many, or swapped with their neighbour."""
    earlier: list[int] = []
    before = list(range(len(other) + 1))
    for row, char in enumerate(one, 1):
        now = [row]
        for column, against in enumerate(other, 1):
            least = min(before[column] + 1, now[-1] + 1, before[column - 1] + (char != against))
            is_swapped = row > 1 and column > 1 and char == other[column - 2]
            if is_swapped and one[row - 2] == against:
                least = min(least, earlier[column - 2] + 1)
            now.append(least)
        earlier, before = before, now
    return before[-1]
