"""What tasks write, passed on in whole lines, each led by the name of its node."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.relay import COLOURS

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDS = re.compile(rb"\r\n|\n|\r")
_COLOURS = (36, 33, 32, 35, 34, 31)
_LONGEST = 1 << 20  # a "line" of a megabyte is passed on in parts


class Sink:
    """Our own standard output or error, into which several streams write lines."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        is_terminal = os.isatty(descriptor) or str(descriptor) in os.environ.get(COLOURS, "")
        self._colours = is_terminal and not os.environ.get("NO_COLOR")
        self._last: Stream | None = None
        self._ending = b"\n"

    def label(self, name: str, index: int) -> bytes:
        """Return what leads a line of node `index`."""
        if not self._colours:
            return f"{name} | ".encode()
        return f"\x1b[{_COLOURS[index % len(_COLOURS)]}m{name} |\x1b[0m ".encode()

    def write(self, stream: Stream, pieces: list[bytes]) -> None:
        """Write pieces of one stream: lines, parts that end in a carriage return, or a last one."""
        parts: list[bytes] = []
        for piece in pieces:
            if self._ending != b"\n" and self._last is not stream:
                parts += [b"\n", stream.label]
            elif self._ending == b"\n" or (self._ending == b"\r" and piece != b"\n"):
                parts.append(stream.label)
            parts.append(piece)
            self._last, self._ending = stream, piece[-1:]
        data = b"".join(parts)
        while data:
            data = data[os.write(self._descriptor, data) :]


class Stream:
    """One task's standard output or error."""

    def __init__(
        self,
        descriptor: int,
        sink: Sink,
        label: bytes,
        listen: Callable[[bytes], bool] = lambda _: True,
    ) -> None:
        """Take a stream.

        Args:
            descriptor: where it can be read.
            sink: where it goes.
            label: what leads its lines.
            listen: is given every line, and says whether it is to be passed on.
        """
        self.descriptor = descriptor
        self.label = label
        self._sink = sink
        self._listen = listen
        self._rest = b""

    def pass_on(self) -> bool:
        """Read what is there and write its whole lines; return False at the end of the stream."""
        data = os.read(self.descriptor, 1 << 16)
        text = self._rest + data
        ends = [0, *(match.end() for match in _ENDS.finditer(text))]
        pieces = [text[start:end] for start, end in itertools.pairwise(ends)]
        self._rest = text[ends[-1] :]
        if self._rest and (not data or len(self._rest) > _LONGEST):
            pieces.append(self._rest)
            self._rest = b""
        self._sink.write(self, [piece for piece in pieces if self._listen(piece)])
        return bool(data)
