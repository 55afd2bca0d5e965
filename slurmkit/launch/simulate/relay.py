"""What a script prints, passed on as it comes, and kept: as Slurm's `--output` has it.

The lines of the ranks are left out of what is kept: each has a log of its own.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = "SLURMKIT_SIMULATION_COLOURS"
"""Set in the script: the descriptors of those two, `12`, that are terminals and may be coloured."""

_LABEL = rb"(?:\x1b\[\d+m)?node\d+ \|(?:\x1b\[0m)? "
_LED = re.compile(_LABEL)
_OF_RANK = re.compile(rb"(?:" + _LABEL + rb")?\[rank\d+\] ")
_LONGEST = 1 << 16  # of a line that is kept
_MOST = 64 << 20  # bytes that are kept
_LAST_WORDS = 1.0  # seconds for what is in the pipes, when a process elsewhere holds them open


class Relay:
    """The standard output and error of a script, on their way to our own."""

    def __init__(self, kept: Path) -> None:
        """Take the file in which lines are kept, those of earlier runs first."""
        self._kept = kept
        self._lock = threading.Lock()
        self._threads: dict[int, threading.Thread] = {}
        self._writing: set[int] = set()

    def open(self) -> tuple[int, int]:
        """Return the descriptors that the script writes to; the caller closes them."""
        out = self._pipe_to(1)
        # Two pipes would lose the order of what goes to one place.
        return out, os.dup(out) if os.path.sameopenfile(1, 2) else self._pipe_to(2)

    def close(self) -> None:
        """Wait until all is passed on, however slowly it is read."""
        for ours, thread in self._threads.items():
            thread.join(_LAST_WORDS)
            while thread.is_alive() and ours in self._writing:
                thread.join(_LAST_WORDS)

    def _pipe_to(self, ours: int) -> int:
        reading, writing = os.pipe()
        thread = threading.Thread(target=self._pass_on, args=(reading, ours), daemon=True)
        self._threads[ours] = thread
        thread.start()
        return writing

    def _pass_on(self, reading: int, ours: int) -> None:
        rest = b""
        try:
            while data := os.read(reading, 1 << 16):
                self._writing.add(ours)
                view = memoryview(data)
                while view:
                    view = view[os.write(ours, view) :]
                self._writing.discard(ours)
                *lines, rest = (rest + data).split(b"\n")
                self._keep(lines)
                rest = rest[-_LONGEST:]
            self._keep([rest] if rest else [])
        except OSError:  # nobody reads us any more, and so the script's next word ends it
            pass
        finally:
            os.close(reading)

    def _keep(self, lines: list[bytes]) -> None:
        kept = b"".join(
            _LED.sub(b"", line, count=1)[:_LONGEST] + b"\n"
            for line in lines
            if not _OF_RANK.match(line)
        )
        if not kept:
            return
        # A full disk is no reason to keep anything from its reader.
        with suppress(OSError), self._lock, self._kept.open("ab") as file:
            if file.tell() < _MOST:
                file.write(kept)


def coloured() -> str:
    """Return the value of `COLOURS` for a script whose output comes to us."""
    return "".join(str(number) for number in (1, 2) if os.isatty(number))
