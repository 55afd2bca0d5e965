"""Heredocs, and the texts for an inner shell that come out of an outer one's expansion."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from slurmkit.check.script.shell import Shell
from slurmkit.check.script.source import Source, Span, Text
from slurmkit.check.script.words import Piece, begin_of, in_heredoc, placeholder, read_word

if TYPE_CHECKING:
    from tree_sitter import Node

_NUMBERED = re.compile(r"\$([0-9@*#])")
_TABS = re.compile(rb"^\t+", re.MULTILINE)


def heredoc(node: Node, text: Text, shell: Shell) -> Text:
    r"""Return a heredoc's body, as the program that reads it gets it.

    With an unquoted delimiter the body is what comes out of that: `\$` has become `$`, and what
    is put in stands as placeholders.
    """
    start = next((c for c in node.children if c.type == "heredoc_start"), None)
    body = next((c for c in node.children if c.type == "heredoc_body"), None)
    delimiter = (start.text or b"").decode(errors="replace") if start else ""
    expanded = not any(char in delimiter for char in "'\"\\")
    if body is None:
        return Text(text.source, b"")
    tidy = _without_tabs if node.children[0].type == "<<-" else _as_it_is
    begin = _begin(body, start, text)
    data = text.data[begin : body.end_byte]
    if not expanded:
        span = range(begin, body.end_byte)
        origins = array("l", (text.span(at, at + 1).start for at in span))
        return tidy(Text(text.source, data, origins))
    pieces: list[Piece] = []
    at = begin
    for child in (*(c for c in body.children if c.type != "heredoc_content"), None):
        until = begin_of(child, text) if child is not None else body.end_byte
        pieces += _positional(in_heredoc(text, shell, at, until))
        if child is not None:
            pieces += read_word(child, text, shell).pieces
            at = child.end_byte
    return tidy(as_text(text.source, pieces))


def _positional(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Split `$1` and `$@` off: the grammar takes them for text in a heredoc."""
    for piece in pieces:
        if piece.kind != "text" or len(piece.text) == 1:
            yield piece  # the $ of an escaped one is a piece of its own
            continue
        at = 0
        for match in _NUMBERED.finditer(piece.text):
            yield _part(piece, at, match.start())
            yield replace(_part(piece, *match.span()), kind="variable", text=match[1])
            at = match.end()
        yield _part(piece, at, len(piece.text))


def _part(piece: Piece, start: int, end: int) -> Piece:
    begin = piece.span.start + len(piece.text[:start].encode())
    text = piece.text[start:end]
    return replace(piece, text=text, span=Span(begin, begin + len(text.encode())))


def _begin(body: Node, start: Node | None, text: Text) -> int:
    """Return where a heredoc's body begins: the grammar passes over blanks in front of it."""
    line = text.data.find(b"\n", start.end_byte) + 1 if start is not None else body.start_byte
    is_blank = not text.data[line : body.start_byte].strip()
    return line if is_blank and line <= body.start_byte else body.start_byte


def _as_it_is(text: Text) -> Text:
    return text


def as_text(source: Source, pieces: Iterable[Piece]) -> Text:
    """Return a text for an inner shell: what is known, and placeholders for the rest."""
    text = Text(source, b"", array("l"), [])
    parts: list[bytes] = []
    origins = array("l")
    in_arithmetic = 0
    for piece in pieces:
        if piece.kind == "text":
            data = piece.text.encode(errors="replace")
            is_same = len(data) == piece.span.end - piece.span.start
        else:
            data = placeholder(text, piece, is_number=in_arithmetic > 0).encode()
            is_same = False
        in_arithmetic = max(0, in_arithmetic + data.count(b"((") - data.count(b"))"))
        parts.append(data)
        start = piece.span.start
        if is_same:
            origins.extend(range(start, start + len(data)))
        else:
            origins.extend(_places(data, source.data, piece))
    return Text(source, b"".join(parts), origins, text.placeholders)


def _places(data: bytes, written: bytes, piece: Piece) -> list[int]:
    """Return where each byte of a text stands that a shell has made shorter: backslashes went."""
    at, end = piece.span.start, piece.span.end
    found: list[int] = []
    for byte in data if piece.kind == "text" else b"":
        at = written.find(byte, at, end)
        if at < 0:
            break
        found.append(at)
        at += 1
    return found if len(found) == len(data) else [piece.span.start] * len(data)


def _without_tabs(text: Text) -> Text:
    """Return what `<<-` makes of a heredoc: no tabs at the beginning of lines."""
    places: Sequence[int] = text.origins or range(len(text.data))
    parts: list[bytes] = []
    origins = array("l")
    at = 0
    for match in _TABS.finditer(text.data):
        parts.append(text.data[at : match.start()])
        origins.extend(places[at : match.start()])
        at = match.end()
    parts.append(text.data[at:])
    origins.extend(places[at:])
    return Text(text.source, b"".join(parts), origins, text.placeholders)
