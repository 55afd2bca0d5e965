"""The #SBATCH lines of a script, by Slurm's own rules.

Source: src/sbatch/opt.c (`_opt_batch_script`, `get_argument`) and src/sbatch/sbatch.c of Slurm,
20.02 to 26.05.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from slurmkit.check.script.options import Argument, Given, parse
from slurmkit.check.script.source import Span, Text

_DIRECTIVE = re.compile(rb"#(?:SBATCH|SLURM)(.*)", re.DOTALL)
_BLANK = b" \t\r\f\v"
_BLANKS = tuple(_BLANK[at : at + 1] for at in range(len(_BLANK)))
COMMAND_LINE = -1
_SEPARATORS = ("hetjob", "packjob")


@dataclass(frozen=True)
class Piece:
    """A word of a directive line."""

    text: str
    span: Span
    line: int
    """The index of its line among the directives, or COMMAND_LINE."""

    @property
    def is_directive(self) -> bool:
        """Whether it stands in the script, and not on the command line that submits it."""
        return self.line != COMMAND_LINE


@dataclass(frozen=True)
class Line:
    """A line that begins with #SBATCH in column 0."""

    number: int
    """Of the file, from 1."""
    span: Span
    words: tuple[Piece, ...]
    comment: Span | None = None
    """From an unescaped # to the end of the line."""
    problem: Literal["", "quote", "colon"] = ""
    """An unmatched quote, a word that begins with a colon: both are fatal."""


@dataclass(frozen=True)
class Directives:
    """What sbatch reads of a script."""

    lines: tuple[Line, ...]
    """Those that count: up to the first command."""
    late: tuple[Line, ...]
    """Those behind it, which are ignored."""
    components: tuple[tuple[Given[Piece], ...], ...]
    """The options, in order; of a heterogeneous job those of each component."""
    end: int
    """The offset in the text of the first line that is neither blank nor a comment."""

    @property
    def options(self) -> tuple[Given[Piece], ...]:
        """The options of the first component."""
        return self.components[0]

    def last(self, *names: str) -> Given[Piece] | None:
        """Return the last option of these names, which counts."""
        found = (o for o in reversed(self.options) if o.name in names and not o.problem)
        return next(found, None)

    def value(self, *names: str) -> str | None:
        """Return the value that counts of an option."""
        found = self.last(*names)
        return found.value if found else None


def read_directives(text: Text) -> Directives:
    """Read the directives of a text."""
    lines: list[Line] = []
    late: list[Line] = []
    at, number, end = 0, 0, None
    first, _ = text.source.place(text.span(0, 0).start if text.data else 0)
    data = text.data
    while at < len(data):
        until = data.find(b"\n", at)
        until = len(data) if until < 0 else until
        raw = data[at:until]
        match = _DIRECTIVE.match(raw)
        if match is not None:
            found = _line(text, first + number, at + match.start(1), until, at, len(lines))
            (lines if end is None else late).append(found)
        elif end is None and raw.strip(_BLANK) and not raw.lstrip(_BLANK).startswith(b"#"):
            end = at
        at, number = until + 1, number + 1
    return Directives(
        tuple(lines), tuple(late), _components(lines), len(data) if end is None else end
    )


def _line(  # noqa: PLR0913, PLR0917  a line and where it is
    text: Text, number: int, start: int, end: int, begin: int, index: int
) -> Line:
    words: list[Piece] = []
    at, problem, comment = start, "", None
    data = text.data
    while at < end:
        if data[at : at + 1] in _BLANKS:
            at += 1
            continue
        if data[at : at + 1] == b"#":
            comment = text.span(at, end)
            break
        said, after, problem, is_comment = _argument(data, at, end)
        if data[at : at + 1] == b":" and not problem:
            problem = "colon"
        if not said and not problem:  # `""`, or a `\\` at the end: sbatch reads no further
            break
        words.append(Piece(said.decode(errors="replace"), text.span(at, after), index))
        at = after
        if is_comment:
            comment = text.span(at, end)
            break
        if problem:
            break
    return Line(number, text.span(begin, end), tuple(words), comment, problem)  # type: ignore[arg-type]


def _argument(data: bytes, at: int, end: int) -> tuple[bytes, int, str, bool]:
    """Return a word without its quotes, where it ends, what is wrong, whether a # ended it.

    A backslash keeps the next character, in quotes too. (In Slurm 22.05, not in 24.11, a blank
    behind one ends the word all the same.)
    """
    said = bytearray()
    quote = b""
    is_kept = False
    while at < end:
        char = data[at : at + 1]
        if not quote and not is_kept and char in _BLANKS:
            break
        if is_kept:
            said += char
            is_kept = False
        elif char == b"\\":
            is_kept = True
        elif quote:
            said += b"" if char == quote else char
            quote = b"" if char == quote else quote
        elif char in (b'"', b"'"):
            quote = char
        elif char == b"#":
            return bytes(said), at, "", True
        else:
            said += char
        at += 1
    return bytes(said), at, "quote" if quote else "", False


def _components(lines: list[Line]) -> tuple[tuple[Given[Piece], ...], ...]:
    parts: list[list[Argument[Piece]]] = [[]]
    for line in lines:
        words = [word for word in line.words if word.text.lower() not in _SEPARATORS]
        if line.words and line.words[0] not in words:
            parts.append([])  # what follows on the line is passed over
        else:
            # sbatch reads the words of all lines in one go: an option at a line's end takes the
            # next line's first word for its value.
            parts[-1] += [Argument(word.text, word) for word in words]
    return tuple(_options(part) for part in parts)


def _options(words: list[Argument[Piece]]) -> tuple[Given[Piece], ...]:
    # `--` ends the options, and any word behind it is one too many; what it was meant to be is read
    # all the same.
    stray = [word for word in words[:-1] if word.text == "--"]
    kept = [word for word in words if word.text != "--"]
    bad = (Given("--", None, (word.origin,), "--", "unknown") for word in stray)
    return (*parse("sbatch", kept, permute=True).options, *bad)
