"""A log file that may still grow, read in whole lines from where the last read ended."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

from slurmkit.observe.logs.folding import Folding
from slurmkit.observe.logs.stamps import BEFORE_ALL, Clock

_OVERWRITTEN = re.compile(rb".*\r(?=[^\r])", re.DOTALL)
_OF_RANK = re.compile(rb"\[rank\d+\] ")
_LED_BY_RANK = re.compile(rb"(?:[^\s|]{1,255} *\| )?\[rank\d+\] ")
"""On hosts and pretend nodes the name of the node comes first."""
_CONTEXT = 64 << 10
_ABOVE = 50  # lines above one of the script's among which a time is looked for
Timed = tuple[list[str], list[bytes]]
"""Lines, and the time of each."""
_PART = 1024  # slurmstepd's MAX_MSG_LEN


class LogFile:
    """The log of one rank, or the job's log of which only the script's own lines are wanted."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        name: bytes = b"",
        *,
        of_script: bool = False,
        folding: Folding | None = None,
    ) -> None:
        self.path = path
        self.name = name
        """Node and rank."""
        self.label = name + b" | "
        """What leads each line, where several files are shown."""
        self.last = BEFORE_ALL
        """The time of the line that was read last."""
        self._clock = clock
        self._of_script = of_script
        self._folding = folding
        self._torn = 0
        self._offset = 0
        self._parts: list[bytes] = []
        self._drop_line = False
        self._identity: tuple[int, int] | None = None

    def skip_to_tail(self, lines: int) -> None:
        """Begin so near the end that no less than this many lines come, some more at the most."""
        if self._of_script:  # most lines of that file are not the script's
            return
        try:
            with self.path.open("rb") as file:
                offset = _tail(file, lines)
        except OSError:
            return
        if offset > 0:
            self._offset, self._drop_line = offset - 1, True

    def read(self, size: int, *, labelled: bool = False) -> Timed | None:
        """Read on: lines with their times, perhaps none; None at the present end of the file.

        Lines come without their newlines. A last line that has none yet is held until it has, or
        until `flush`.
        """
        data = self._bytes(size)
        if not data:
            return None
        label = self.label if labelled and not self._of_script else b""
        if label:  # far cheaper here than line by line
            data = data.replace(b"\n", b"\n" + label)
        lines = data.split(b"\n")
        self._parts.append(lines[0])
        if len(lines) == 1:
            self._shorten()
            return [], []
        lines[0] = label + b"".join(self._parts)
        self._parts = [lines.pop()[len(label) :]]
        has_bars = b"\r" in data or b"\r" in lines[0]
        self._shorten()
        if self._drop_line:
            del lines[0]
            self._drop_line = False
        return self._timed(lines, label, has_bars, labelled)

    def flush(self, *, labelled: bool = False) -> Timed:
        """Give the last line, which has no newline."""
        label = self.label if labelled and not self._of_script else b""
        rest, self._parts = b"".join(self._parts), []
        lines = [label + rest] if rest and not self._drop_line else []
        times, lines = self._timed(lines, label, b"\r" in rest, labelled)
        if self._folding is not None:
            held, more = self._folding.end(self.last)
            times += held
            lines += [self.label + line for line in more] if labelled else more
        return times, lines

    def _shorten(self) -> None:
        """Forget the past of a progress bar, which may go on for days."""
        if b"\r" in self._parts[-1]:
            rest = b"".join(self._parts)
            self._parts = [rest[rest.rfind(b"\r", 0, -1) + 1 :]]

    def _timed(self, lines: list[bytes], label: bytes, has_bars: bool, labelled: bool) -> Timed:
        if self._of_script:
            lines = self._own_lines(lines)
        if has_bars:
            start = len(label)
            lines = [label + _OVERWRITTEN.sub(b"", line[start:]) for line in lines]
        times = self._clock.times(lines, self.last, len(label))
        if self._of_script:  # behind the ranks' lines of the same time, from which it was taken
            times = [time + "!" if time and time[-1] != "!" else time for time in times]
        if times:
            self.last = times[-1]
        if self._of_script:
            label = self.label if labelled else b""
            kept = [at for at, line in enumerate(lines) if not _LED_BY_RANK.match(line)]
            times, lines = [times[at] for at in kept], [lines[at] for at in kept]
            if self._folding is not None:
                times, lines = self._folding.fold(times, lines)
            lines = [label + line for line in lines]
        return times, lines

    def _own_lines(self, lines: list[bytes]) -> list[bytes]:
        """Leave out what ranks wrote, but for lines above one of the script's: they tell its time.

        srun passes a long line on in parts. Where that of another rank came in between, the rest
        of the first one stands alone in a line, as if it were the script's.
        """
        wanted: set[int] = set(range(len(lines))[-1:])
        for at, line in enumerate(lines):
            if _LED_BY_RANK.match(line):
                if len(line) > _PART:
                    self._torn += len(_OF_RANK.findall(line, _PART))
            elif self._torn:
                self._torn += len(_OF_RANK.findall(line)) - 1
                lines[at] = b"[rank0] "
            else:
                wanted.update(range(max(at - _ABOVE, 0), at + 1))
        return [lines[at] for at in sorted(wanted)]

    def _bytes(self, size: int) -> bytes:
        """Read bytes; a file that was cut short or replaced is read from its beginning."""
        # Opened anew each time: thousands of files may be read at once, and over NFS it is
        # opening a file that asks the server whether it has grown.
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # gone, or not ours to read
            return b""
        try:
            status = os.fstat(descriptor)
            identity = (status.st_dev, status.st_ino)
            if self._identity not in (None, identity) or status.st_size < self._offset:
                self._offset, self._parts, self._drop_line = 0, [], False
            self._identity = identity
            if status.st_size == self._offset:
                return b""
            data = os.pread(descriptor, size, self._offset)
        finally:
            os.close(descriptor)
        self._offset += len(data)
        return data


def _tail(file: BinaryIO, lines: int) -> int:
    """Return a place before the last lines of a file, and before a time that they have."""
    offset = file.seek(0, os.SEEK_END)
    while offset > 0 and lines >= 0:
        start = max(offset - _CONTEXT, 0)
        file.seek(start)
        lines -= file.read(offset - start).count(b"\n")
        offset = start
    return offset - _CONTEXT
