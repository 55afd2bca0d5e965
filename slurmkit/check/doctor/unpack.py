"""Logs that cannot be read in place, such as standard input and packed files: read from a copy."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from errno import EINVAL
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.check.doctor.sources import PACKED

if TYPE_CHECKING:
    from slurmkit.check.doctor.event import Line
    from slurmkit.check.doctor.verdict import Diagnosis, Verdict

_OPENERS: Mapping[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_ZSTD = b"\x28\xb5\x2f\xfd"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BLOCK = 1 << 20


class Unpacked:
    """Copies of what cannot be read in place, and what they are copies of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}

    def readable(self, path: Path) -> Path:
        """Return a file itself, or a copy of it: of `-`, of a pipe, of a packed file, of UTF-16.

        Raises:
            OSError: it cannot be read; what was packed is broken.
        """
        if str(path) == "-":
            return self._copied(sys.stdin.buffer, "-", "stdin")
        with path.open("rb") as file:
            if not file.seekable():
                return self._copied(file, str(path), path.name)
            head = file.read(8)
        opener = next((how for magic, how in _OPENERS.items() if head.startswith(magic)), None)
        if head.startswith(_ZSTD):
            raise OSError(EINVAL, f"packed by zstd; unpack it first: zstd -d {path}", str(path))
        if head.startswith(_UTF_16):
            text = path.read_text(encoding="utf-16", errors="replace")
            return self._copied(BytesIO(text.encode()), str(path), path.name)
        if opener is None:
            return path
        name = path.stem if path.suffix in PACKED else path.name
        with opener(path) as unpacked:
            return self._copied(unpacked, str(path), name)

    def named(self, found: Diagnosis) -> Diagnosis:
        """Return a diagnosis in which copies go by the names of what they are copies of."""
        return replace(found, findings=tuple(map(self._verdict, found.findings)))

    def name(self, path: Path) -> str:
        """Return what a user calls a file."""
        return self._names.get(str(path), str(path))

    def _copied(self, file: Any, name: str, stem: str) -> Path:
        copy = self._folder / str(len(self._names)) / stem
        copy.parent.mkdir()
        # Of what ends too early, all that came before counts.
        with copy.open("wb") as to, suppress(EOFError, zlib.error, lzma.LZMAError):
            while block := file.read1(_BLOCK):
                to.write(block)
        self._names[str(copy)] = name
        return copy

    def _verdict(self, verdict: Verdict) -> Verdict:
        return replace(verdict, lines=tuple(map(self._line, verdict.lines)))

    def _line(self, line: Line) -> Line:
        return replace(line, file=self._names.get(line.file, line.file))
