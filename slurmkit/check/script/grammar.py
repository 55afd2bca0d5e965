"""Parses bash, and what people leave in their scripts that is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser

_IN_WORDS = (
    "word", "string", "raw_string", "ansi_c_string", "translated_string", "simple_expansion",
    "expansion", "command_substitution", "arithmetic_expansion", "concatenation", "number",
)  # fmt: skip
_BLANK = re.compile(rb"(?:\\\n)*\s")
# `<your-token>`: to bash two redirections, and mostly the end of all that can be understood. Not
# `<in >out`, nor `<in 2> errors`.
_ANGLE = re.compile(
    rb"(?<![<\w(?&])<[A-Za-z](?:[\w .:/@-]*[\w.-])?(?<! \d)>(?=[\s\"/:;,)]|\Z)(?!/dev/)"
)
_BRACES = re.compile(rb"\{\{[^{}\n]*\}\}|\{%[^{}\n]*%\}")
# "`# text`" in front of a `\` is a comment within a command; to the grammar it has no end.
_INLINE = re.compile(rb"`#[^`\n]*`")
# `$A/$B/c`: the grammar ends the word in front of `$B`, but reads `$A%$B%c`, and a remainder, well.
_JOINED = re.compile(rb"(\$\w+)[/.,+~^-]")
# `$'a\\'` ends there; to the grammar the last backslash keeps the quote, and it reads on.
_ANSI = re.compile(rb"\$'(?:[^'\\]|\\.)*'", re.DOTALL)


@cache
def language() -> Language:
    """Return the grammar."""
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


@cache
def parser() -> Parser:
    """Return the parser."""
    from tree_sitter import Parser

    return Parser(language())


def parse(data: bytes) -> Node:
    """Return the root of the syntax tree of a text; placeholders in it count as words."""
    data = data.replace(b"\0", b"_")  # at a NUL it would lose its place
    if b"`#" in data:
        data = _INLINE.sub(lambda match: b" " * len(match[0]), data)
    if b"\\\\'" in data:
        data = _ANSI.sub(_closed, data)
    data = _ANGLE.sub(_word, data)
    data = _JOINED.sub(rb"\1%", data)
    root = parser().parse(data).root_node
    if not root.has_error or (b"{{" not in data and b"{%" not in data):
        return root
    other = parser().parse(_BRACES.sub(_word, data)).root_node
    return other if _lost(other) < _lost(root) else root


def without_placeholders(data: bytes) -> bytes:
    """Return a text with words of the same length for `<your-token>` and `{{ name }}`."""
    return _BRACES.sub(_word, _ANGLE.sub(_word, data))


def _word(match: re.Match[bytes]) -> bytes:
    return b"_" * len(match[0])


def _closed(match: re.Match[bytes]) -> bytes:
    said = match[0]
    return said[:-3] + b"__'" if said.endswith(b"\\\\'") else said


def _lost(root: Node) -> int:
    """Return how many bytes the grammar has not understood."""
    found, stack = 0, [root]
    while stack:
        node = stack.pop()
        if node.is_error or node.is_missing:
            found += 1 + node.end_byte - node.start_byte
        elif node.has_error:
            stack.extend(node.children)
    return found


def chain(node: Node) -> tuple[list[Node], list[str]]:
    """Return the parts of `a && b || c`, and what stands between them."""
    if node.type != "list":
        return [node], []
    parts: list[Node] = []
    operators: list[str] = []
    for child in node.children:
        if child.type == "comment":
            continue
        if child.is_named:
            inner, between = chain(child)
            if len(operators) < len(parts):
                operators.append("")  # what stands between cannot be read
            parts += inner
            operators += between
        else:
            operators.append(child.type)
    return parts, operators


def is_rest(node: Node) -> bool:
    r"""Tell whether a node goes on with the word before it.

    The grammar cuts "a`b`c", $"a" and 'a'\$b.
    """
    before = node.prev_sibling
    if before is None or before.end_byte != node.start_byte:
        return False
    text = node.text or b""
    if before.type == "$":
        return node.type in ("string", "concatenation") and text.startswith(b'"')
    if before.type not in _IN_WORDS and before.type != "command_name":
        return node.is_named and text.startswith(b"`")
    return node.type in _IN_WORDS and not _BLANK.match(text)


def rest(node: Node) -> Iterator[Node]:
    """Yield the nodes that go on with a word."""
    following = node.next_sibling
    while following is not None and is_rest(following):
        yield following
        following = following.next_sibling
