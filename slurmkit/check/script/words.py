"""The words of a command line: pieces that are known, and pieces that a shell puts in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from slurmkit.check.script.grammar import is_rest, rest
from slurmkit.check.script.quoting import ANSI_C, unescaped, with_homes
from slurmkit.check.script.source import Span, Text

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.script.shell import Shell

Kind = Literal["text", "variable", "substitution", "arithmetic"]

_PLACEHOLDER = re.compile("\ue000(.)\ue001|__put_in_(\\d{1,9})__", re.DOTALL)
_FIRST = 0xE100
_IN_FRONT = re.compile(r"[#!](\[[@*]\]|[@*])?\Z")
_MOST = 0x1500  # placeholders that fit into the private characters
_ESCAPED_IN_STRING = re.compile(rb'\\([$`"\\]|\n)')
_ESCAPED_IN_HEREDOC = re.compile(rb"\\([$`\\]|\n)")
_BEFORE = re.compile(rb"(?:[ \t\n]|\\\n)*")
_ESCAPED = re.compile(rb"\\(.|\n)", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a word."""

    kind: Kind
    text: str
    """The characters themselves; a variable's name; what stands between `$(` and `)`."""
    span: Span
    is_quoted: bool
    shell: Shell
    """Which shell expands it."""
    operation: str = ""
    """Of `${NAME…}`: what follows the name, such as `:-4`, `[0]`, `:0:9`."""
    node: Node | None = None
    text_of: Text | None = None
    via: Piece | None = None
    """The variable from whose value it comes: the last on the way, `$RUN` in `$ARGS`."""
    is_home: bool = False
    """Whether it is a `~`, or `~NAME`, in whose place bash puts a home directory."""

    @property
    def default(self) -> str | None:
        """What `${NAME:-…}` gives where NAME is not set, as it stands; None without one."""
        match = re.match(r":?[-=](.*)", self.operation, re.DOTALL)
        return match[1] if match else None


@dataclass(frozen=True, eq=False)
class Word:
    """A word, as the shell that reads it sees it before expansion."""

    pieces: tuple[Piece, ...]
    span: Span

    @property
    def literal(self) -> str | None:
        """Its text; None where a shell puts something in."""
        if any(piece.kind != "text" for piece in self.pieces):
            return None
        return "".join(piece.text for piece in self.pieces)

    @property
    def shown(self) -> str:
        """Its text, with `$NAME` and `$(…)` for what is put in."""
        return "".join(_shown(piece) for piece in self.pieces)

    @property
    def variables(self) -> list[Piece]:
        """The variables that it reads itself."""
        return [piece for piece in self.pieces if piece.kind == "variable"]

    @property
    def is_quoted(self) -> bool:
        """Whether all of it is in quotes."""
        return bool(self.pieces) and all(piece.is_quoted for piece in self.pieces)


def _shown(piece: Piece) -> str:
    if piece.kind == "text":
        return piece.text
    if piece.kind == "variable":
        if _IN_FRONT.match(piece.operation):  # `${#NAMES[@]}`, `${!NAME}`
            return f"${{{piece.operation[0]}{piece.text}{piece.operation[1:]}}}"
        return f"${{{piece.text}{piece.operation}}}" if piece.operation else f"${piece.text}"
    return f"$({piece.text})" if piece.kind == "substitution" else f"$(({piece.text}))"


def read_word(node: Node, text: Text, shell: Shell, whole: Node | None = None) -> Word:
    """Return the word that a node of the syntax tree is, or that ends what `whole` is."""
    nodes = [node, *rest(whole or node)]
    found = (p for part in nodes for p in _pieces(part, text, shell, is_quoted=False))
    pieces = with_homes(_merged(found), is_value=whole is not None)
    return Word(tuple(pieces), text.span(node.start_byte, nodes[-1].end_byte))


def _pieces(node: Node, text: Text, shell: Shell, *, is_quoted: bool) -> Iterator[Piece]:
    start, end, kind = node.start_byte, node.end_byte, node.type
    if kind in ("string", "translated_string"):
        yield from _string(node, text, shell)
    elif kind == "raw_string":
        yield from _plain(text, shell, start + 1, end - 1, is_quoted=True)
    elif kind == "ansi_c_string":
        yield from _escaped(text, shell, start + 2, end - 1, ANSI_C, is_quoted=True)
    elif kind in ("simple_expansion", "expansion"):
        yield _variable(node, text, shell, is_quoted=is_quoted)
    elif kind in ("command_substitution", "process_substitution", "arithmetic_expansion"):
        yield _put_in(node, text, shell, is_quoted=is_quoted)
    elif kind == "$" and node.next_sibling is not None and is_rest(node.next_sibling):
        return  # of $"…", which may be translated
    elif kind in ("concatenation", "command_name", "array") and node.child_count:
        at = start
        for child in node.children:
            if child.start_byte > at:  # blanks that the grammar has swallowed
                yield from _plain(text, shell, at, child.start_byte, is_quoted=is_quoted)
            yield from _pieces(child, text, shell, is_quoted=is_quoted)
            at = child.end_byte
    else:
        yield from _escaped(text, shell, start, end, _ESCAPED, is_quoted=is_quoted)


def _string(node: Node, text: Text, shell: Shell) -> Iterator[Piece]:
    """Between the quotes: what stands there, and what is put in."""
    data = text.data
    at = node.start_byte + data[node.start_byte : node.end_byte].find(b'"') + 1
    end = node.end_byte - 1
    for child in node.children:
        if child.type not in (
            "simple_expansion", "expansion", "command_substitution", "arithmetic_expansion",
        ):  # fmt: skip
            continue
        begin = begin_of(child, text)
        yield from _escaped(text, shell, at, begin, _ESCAPED_IN_STRING, is_quoted=True)
        yield from _pieces(child, text, shell, is_quoted=True)
        at = child.end_byte
    yield from _escaped(text, shell, at, end, _ESCAPED_IN_STRING, is_quoted=True)


def begin_of(node: Node, text: Text) -> int:
    """Return where an expansion begins: the grammar takes what is blank before it for its own."""
    match = _BEFORE.match(text.data, node.start_byte, node.end_byte)
    return match.end() if match else node.start_byte


def known_text(text: Text, shell: Shell) -> Word:
    """Return a text, such as a heredoc, as one quoted word."""
    data = text.data.rstrip(b"\n")
    pieces = tuple(_plain(text, shell, 0, len(data), is_quoted=True))
    return Word(pieces, text.span(0, len(data)))


def in_heredoc(text: Text, shell: Shell, start: int, end: int) -> Iterator[Piece]:
    """Return what stands in a heredoc whose delimiter is not quoted."""
    return _escaped(text, shell, start, end, _ESCAPED_IN_HEREDOC, is_quoted=True)


def _escaped(  # noqa: PLR0913  a place and how to read it
    text: Text, shell: Shell, start: int, end: int, escapes: re.Pattern[bytes], *, is_quoted: bool
) -> Iterator[Piece]:
    at = start
    for match in escapes.finditer(text.data, start, max(start, end)):
        yield from _plain(text, shell, at, match.start(), is_quoted=is_quoted)
        if match[1] != b"\n":  # a line that goes on
            is_ansi = escapes is ANSI_C
            kept = unescaped(match[1]) if is_ansi else match[1].decode(errors="replace")
            yield Piece("text", kept, text.span(*match.span()), True, shell)
        at = match.end()
    yield from _plain(text, shell, at, end, is_quoted=is_quoted)


def _plain(text: Text, shell: Shell, start: int, end: int, *, is_quoted: bool) -> Iterator[Piece]:
    if end <= start:
        return
    data = text.data[start:end]
    if not text.placeholders or (b"\xee" not in data and b"__put_in_" not in data):
        said = data.decode(errors="replace")
        yield Piece("text", said, text.span(start, end), is_quoted, shell)
        return
    said, at = data.decode(errors="replace"), 0
    for match in _PLACEHOLDER.finditer(said):
        yield from _part(said[at : match.start()], said[:at], text, shell, start, is_quoted)
        if (piece := _put_in_there(match, text)) is not None:
            yield replace(piece, is_quoted=is_quoted)
        at = match.end()
    yield from _part(said[at:], said[:at], text, shell, start, is_quoted)


def _put_in_there(match: re.Match[str], text: Text) -> Piece | None:
    """Return what a placeholder stands for."""
    number = int(match[2]) if match[2] else ord(match[1]) - _FIRST
    return text.placeholders[number] if 0 <= number < len(text.placeholders) else None


def _part(  # noqa: PLR0913, PLR0917  a place and what is there
    said: str, before: str, text: Text, shell: Shell, start: int, is_quoted: bool
) -> Iterator[Piece]:
    if said:
        begin = start + len(before.encode())
        span = text.span(begin, begin + len(said.encode()))
        yield Piece("text", said, span, is_quoted, shell)


def placeholder(text: Text, piece: Piece, *, is_number: bool = False) -> str:
    """Keep a piece for a text that is being made; return what stands for it there.

    Within `$((…))` that is a name, for the grammar's sake.
    """
    if len(text.placeholders) >= _MOST:
        return "_"
    text.placeholders.append(piece)
    number = len(text.placeholders) - 1
    return f"__put_in_{number}__" if is_number else f"\ue000{chr(_FIRST + number)}\ue001"


def _variable(node: Node, text: Text, shell: Shell, *, is_quoted: bool) -> Piece:
    begin = begin_of(node, text)
    said = text.data[begin : node.end_byte].decode(errors="replace")
    inner = said[2:-1] if said.startswith("${") else said[1:]
    match = re.match(r"[!#]?(\w+|[@*#?$!-])", inner)
    name = match[1] if match else inner
    operation = inner[match.end() :] if match else ""
    if match and inner[0] in "!#" and len(inner) > 1:
        operation = inner[0] + operation
    span = text.span(begin, node.end_byte)
    return Piece("variable", name, span, is_quoted, shell, operation, node, text)


def filled(said: str, text: Text) -> str:
    """Return a piece of a text with `$NAME` for what an outer shell puts in."""
    return _PLACEHOLDER.sub(lambda match: _shown_there(match, text), said)


def _shown_there(match: re.Match[str], text: Text) -> str:
    piece = _put_in_there(match, text)
    return match[0] if piece is None else _shown(piece)


def _put_in(node: Node, text: Text, shell: Shell, *, is_quoted: bool) -> Piece:
    begin = begin_of(node, text)
    said = text.data[begin : node.end_byte].decode(errors="replace")
    if text.placeholders:
        said = _PLACEHOLDER.sub(lambda m: _shown_there(m, text), said)
    span = text.span(begin, node.end_byte)
    if node.type == "arithmetic_expansion":
        inner = said[3:-2] if said.startswith("$((") else said[2:-1]
        return Piece("arithmetic", inner.strip(), span, is_quoted, shell, "", node, text)
    inner = said[1:-1] if said.startswith("`") else said[2:-1]
    return Piece("substitution", inner.strip(), span, is_quoted, shell, "", node, text)


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Join neighbouring texts of one kind that stand side by side in the file."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if (
            last is not None
            and last.kind == piece.kind == "text"
            and last.is_quoted == piece.is_quoted
            and last.span.end == piece.span.start
            and len(last.text.encode()) == last.span.end - last.span.start
            and len(piece.text.encode()) == piece.span.end - piece.span.start
        ):
            span = Span(last.span.start, piece.span.end)
            found[-1] = replace(last, text=last.text + piece.text, span=span)
        else:
            found.append(piece)
    return found


def joined(words: Sequence[Word]) -> str:
    """Return words as they would be shown on one line."""
    return " ".join(word.shown for word in words)


def resolved_text(text: Text, start: int, end: int) -> str:
    """Return a part of a text as it would be shown, with what an outer shell puts in."""
    return filled(text.data[start:end].decode(errors="replace"), text).strip()
