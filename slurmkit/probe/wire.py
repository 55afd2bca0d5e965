"""How a node's answers travel through the output of a step that other things write to as well.

An answer is JSON, compressed, in short lines, each with the node, the round and its place. srun
passes lines of up to 1024 bytes on whole, and tears longer ones of several nodes into each other.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from typing import Any, NamedTuple

_CHUNK = 700
_MOST_CHUNKS = 100_000
_LINE = re.compile(rb"@probe ([0-9]+) ([0-9]+) ([0-9]+) ([0-9]+) ([0-9]+) ([A-Za-z0-9+/=]*);")


class Answer(NamedTuple):
    """What one node says in one round."""

    node: int
    round: int
    value: Any


def lines_of(node: int, round_: int, value: Any) -> list[bytes]:
    """Write an answer as the lines that carry it."""
    data = zlib.compress(json.dumps(value, default=str).encode())
    text = base64.b64encode(data)
    chunks = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    check = zlib.crc32(data)
    return [
        b"@probe %d %d %d %d %d %s;\n" % (node, round_, at, len(chunks), check, chunk)
        for at, chunk in enumerate(chunks)
    ]


class Reader:
    """Puts the answers of several nodes together from lines in any order."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], dict[int, bytes]] = {}

    def read(self, line: bytes) -> Answer | None:
        """Take one line; return the answer that it completes."""
        found = _LINE.search(line)
        if found is None:
            return None
        *numbers, chunk = found.groups()
        node, round_, at, count, check = (int(number[:12]) for number in numbers)
        if not 0 <= at < count <= _MOST_CHUNKS:
            return None
        parts = self._parts.setdefault((node, round_), {})
        parts[at] = chunk
        if not all(place in parts for place in range(count)):
            return None
        text = b"".join(parts[place] for place in range(count))
        del self._parts[node, round_]
        try:
            data = base64.b64decode(text, validate=True)
            if zlib.crc32(data) != check:
                return None
            return Answer(node, round_, json.loads(zlib.decompress(data)))
        except (binascii.Error, zlib.error, ValueError):
            return None
