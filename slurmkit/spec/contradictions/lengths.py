"""Texts that are longer than Linux hands to a program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from slurmkit.spec.contradictions.found import Contradiction

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_MOST = 128 * 1024
"""Bytes of one argument or variable (MAX_ARG_STRLEN in Linux's include/uapi/linux/binfmts.h)."""
_ROOM = 8 * 1024
"""What else stands in the shell function that carries the program's arguments to the nodes."""
_EXPECTED = "at most {} bytes: Linux hands over no more in one piece"


def lengths(spec: JobSpec) -> Iterator[Contradiction]:
    """Find variables and arguments with which no process can be started."""
    for name, value in spec.environment.variables.items():
        if len(f"{name}={value}".encode()) >= _MOST:
            path = ("environment", "variables", name)
            fix = "write it into a file, and the file's path here"
            yield Contradiction(path, "too long", fix, _EXPECTED.format(_MOST - 1))
    entry = spec.entrypoint
    if _written([*(entry.command or ()), *entry.args]) > _MOST - _ROOM:
        field = "command" if entry.command is not None else "args"
        fix = "hand it over in a file; under module and script, config becomes one"
        expected = _EXPECTED.format(_MOST - _ROOM)
        yield Contradiction(("entrypoint", field), "too long, all words together", fix, expected)


def _written(words: Iterable[str]) -> int:
    """Count the bytes of words in the script: quotes, and escapes of up to four characters."""
    return sum(
        len(word.encode())
        + 4
        + len(re.findall(r"""[\\"'$`]""", word))
        + 3 * len(re.findall(r"[\x00-\x1f\x7f]", word))
        for word in words
    )
