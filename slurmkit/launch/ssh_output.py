"""What a job on hosts prints: to this terminal, and into `slurmkit-ID.out` as Slurm has it."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

from slurmkit.launch.simulate.output import Sink, Stream

_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


class _Copying(Sink):
    """Writes what it is given into a file as well, in whole lines and without colours."""

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor)
        self._path = path

    def write(self, stream: Stream, pieces: list[bytes]) -> None:
        """Write pieces of one stream."""
        with contextlib.suppress(BrokenPipeError):  # `| head`: the job goes on
            super().write(stream, pieces)
        label = _COLOUR.sub(b"", stream.label)
        with self._path.open("ab") as file:
            file.write(b"".join(label + piece.rstrip(b"\r\n") + b"\n" for piece in pieces))


class Output:
    """Where the hosts' lines and our own words go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.out, self.err = _Copying(1, path), _Copying(2, path)

    def say(self, text: str) -> None:
        """Say something to people, and to the file."""
        print(f"slurmkit: {text}", file=sys.stderr, flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"slurmkit: {text}\n")
