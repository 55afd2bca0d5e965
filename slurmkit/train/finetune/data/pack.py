"""Put documents together into sequences of a given length, without splitting any."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return sequences of documents: the longest first, each into the fullest that has room.

    Best-fit decreasing: at most 11/9 of the fewest sequences possible, and one more (Johnson,
    Demers, Ullman, Garey, Graham 1974). The same lengths give the same sequences.

    Args:
        lengths: tokens of each document, none above the capacity.
        capacity: tokens of a sequence.
    """
    sequences: list[list[int]] = []
    with_room: dict[int, list[int]] = {}  # sequences by free tokens
    rooms: list[int] = []  # the keys of with_room, sorted
    for document in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        length = lengths[document]
        assert 0 < length <= capacity, (length, capacity)
        place = bisect_left(rooms, length)
        if place == len(rooms):
            room, sequence = capacity, len(sequences)
            sequences.append([])
        else:
            room = rooms[place]
            sequence = with_room[room].pop()
            if not with_room[room]:
                del with_room[room], rooms[place]
        sequences[sequence].append(document)
        left = room - length
        if left not in with_room:
            with_room[left] = []
            insort(rooms, left)
        with_room[left].append(sequence)
    return sequences
