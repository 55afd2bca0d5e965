"""The statements around a place in a script: those of its top, and those of each block it is in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from slurmkit.check.script.grammar import chain
from slurmkit.check.script.source import Span

if TYPE_CHECKING:
    from tree_sitter import Node

_BLOCKS = ("program", "compound_statement", "do_group", "subshell", "else_clause", "list",
           "elif_clause", "case_item", "if_statement")  # fmt: skip
_ASKED = ("if_statement", "case_statement", "for_statement", "c_style_for_statement",
          "while_statement")  # fmt: skip
_BETWEEN = ("then", "do", ")")


def holds(node: Node, span: Span) -> bool:
    """Tell whether a place is within a node."""
    return node.start_byte <= span.start and span.end <= node.end_byte


def statements(root: Node | None) -> Iterator[Node]:
    """Yield the statements at the top; those in a `{ … }` around everything as well."""
    for node in root.children if root is not None else ():
        if node.type == "compound_statement":
            yield from statements(node)
        elif node.is_named and node.type != "comment":
            yield node


def beside(node: Node, span: Span) -> tuple[list[Node], list[Node]]:
    """Return what runs before a place and behind it, within the statement that holds it.

    Other branches and conditions are left out.
    """
    before: list[Node] = []
    behind: list[Node] = []
    at: Node | None = node
    while at is not None:
        children = list(at.children)
        index = next((i for i, child in enumerate(children) if holds(child, span)), None)
        if index is None or (
            children[index].start_byte == span.start and not children[index].children
        ):
            break
        if at.type in _BLOCKS:
            first = 0
            if at.type in ("if_statement", "elif_clause", "case_item"):
                marks = [i for i, c in enumerate(children[:index]) if c.type in _BETWEEN]
                first = marks[-1] + 1 if marks else index
            operators = {c.type for c in children[first:index] if not c.is_named}
            if "||" not in operators:
                before += _flat(c for c in children[first:index] if _is_statement(c))
            behind = [*_following(children[index + 1 :]), *behind]
        at = children[index]
    return before, behind


def _following(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        if node.type in ("else_clause", "elif_clause"):
            return
        if _is_statement(node):
            yield node


def _flat(nodes: Iterable[Node]) -> list[Node]:
    """Take `a && b` apart."""
    found: list[Node] = []
    for node in nodes:
        parts, operators = chain(node)
        found += parts if set(operators) <= {"&&"} else [node]
    return found


def enclosing(node: Node, span: Span) -> Iterator[Node]:
    """Yield the conditions and loops within a statement that a place is in, from the outside."""
    at: Node | None = node
    while at is not None:
        if at.type in _ASKED:
            yield at
        at = next((child for child in at.children if holds(child, span)), None)


def _is_statement(node: Node) -> bool:
    return node.is_named and node.type not in ("comment", "word")
