"""What bash makes of a word's own characters: the escapes of `$'…'`, a leading `~`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from slurmkit.check.script.source import Span

if TYPE_CHECKING:
    from slurmkit.check.script.words import Piece

ANSI_C = re.compile(
    rb"((?:\\(?:x[0-9A-Fa-f]{1,2}|[0-7]{1,3}))+"
    rb"|\\(?:u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|c.|.))",
    re.DOTALL,
)
"""An escape within `$'…'`; bytes side by side are one character."""
_BYTE = re.compile(rb"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3}))")
_NAMED = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
    "v": "\v", "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip
_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)

_ARGUMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_HOME = re.compile(r"~([A-Za-z_][\w.-]*)?(?=([/:]?))")


def unescaped(escape: bytes) -> str:
    """Return the characters that an escape within `$'…'` stands for."""
    if _BYTE.match(escape):
        found = (int(m[1], 16) if m[1] else int(m[2], 8) & 0xFF for m in _BYTE.finditer(escape))
        return bytes(found).decode(errors="replace")
    said = escape.decode(errors="replace")
    kind, rest = said[1], said[2:]
    if kind in "uU" and rest:
        number = int(rest, 16)
        return chr(number) if number <= _LAST and number not in _SURROGATES else said
    if kind == "c" and rest:
        return chr(ord(rest) & 0x1F)
    return _NAMED.get(kind, said)


def with_homes(pieces: Sequence[Piece], *, is_value: bool) -> Iterator[Piece]:
    """Yield a word's pieces, with each `~` that is a home directory as one of its own.

    Args:
        pieces: Those of the word.
        is_value: Whether it is the value of an assignment, where `~` counts behind `:` as well.
    """
    for at, piece in enumerate(pieces):
        if piece.kind != "text" or piece.is_quoted or "~" not in piece.text:
            is_value |= _begins_assignment(piece, at)
            yield piece
            continue
        argument = _ARGUMENT.match(piece.text) if at == 0 and not is_value else None
        is_value |= argument is not None
        begins = [argument.end() if argument else 0] if at == 0 else []
        if is_value:
            begins += [match.end() for match in re.finditer(":", piece.text)]
        yield from _cut(piece, begins, is_last=at == len(pieces) - 1, is_value=is_value)


def _begins_assignment(piece: Piece, at: int) -> bool:
    is_plain = at == 0 and piece.kind == "text" and not piece.is_quoted
    return is_plain and _ARGUMENT.match(piece.text) is not None


def _cut(piece: Piece, begins: Sequence[int], *, is_last: bool, is_value: bool) -> Iterator[Piece]:
    """Cut a text at the homes that begin at some of its places."""
    done, text = 0, piece.text
    for begin in begins:
        match = _HOME.match(text, begin)
        if match is None or (match[2] == ":" and not is_value):
            continue
        if match[2] or (is_last and match.end() == len(text)):
            if begin > done:
                yield _part(piece, done, begin)
            yield replace(_part(piece, begin, match.end()), is_home=True)
            done = match.end()
    if done < len(text):
        yield _part(piece, done, len(text)) if done else piece


def _part(piece: Piece, start: int, end: int) -> Piece:
    before, said = piece.text[:start].encode(), piece.text[start:end]
    if len(piece.text.encode()) != piece.span.end - piece.span.start:
        return replace(piece, text=said)
    begin = piece.span.start + len(before)
    return replace(piece, text=said, span=Span(begin, begin + len(said.encode())))
