"""Notes what a statement assigns: `A=1`, `export A=1`, `read A`, `unset A`, an array."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from slurmkit.check.script.grammar import is_rest
from slurmkit.check.script.heredoc import heredoc
from slurmkit.check.script.shell import Assignment, Command, Context, Shell
from slurmkit.check.script.source import Text
from slurmkit.check.script.words import Word, known_text, read_word
from slurmkit.slurm.scalars import whole

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.script.read import Script

_CHANGED = re.compile(r"\b([A-Za-z_]\w*)\s*(?:=(?!=)|\+\+|--|[-+*/]=)")
_READERS = ("read", "mapfile", "readarray", "getopts", "let")


class Assignments:
    """Reads the assignments of one shell."""

    def __init__(
        self, script: Script, shell: Shell, inside: Callable[[Node, Context], None]
    ) -> None:
        self._script = script
        self._shell = shell
        self._inside = inside
        """Goes through what is run to make a value."""

    def note(self, assignment: Assignment) -> None:
        """Keep an assignment of the shell's."""
        self._shell.assignments.setdefault(assignment.name, []).append(assignment)

    def unknown(self, name: str, start: int, end: int, context: Context, node: Node) -> None:
        """Note that a variable has some value from here on."""
        span = self._shell.text.span(start, end)
        order = self._script.next_order()
        self.note(Assignment(name, None, None, span, order, context, is_known=False, node=node))

    def loop(self, node: Node, body: Node, header: str, context: Context) -> None:
        """What a loop's body or header changes is not known at the body's beginning."""
        names = set(_CHANGED.findall(header))
        stack = [body]
        while stack:
            at = stack.pop()
            if at.type == "variable_assignment" and at.children:
                names.add((at.children[0].text or b"").decode(errors="replace"))
            elif at.type in ("compound_statement", "postfix_expression", "unary_expression"):
                names |= set(_CHANGED.findall((at.text or b"").decode(errors="replace")))
            stack.extend(at.children)
        for name in sorted(name for name in names if name in self._shell.assignments):
            self.unknown(name, node.start_byte, body.start_byte, context, node)

    def statement(self, node: Node, context: Context) -> None:
        """`A=1`, `A=1 B=2`."""
        nodes = [node] if node.type == "variable_assignment" else node.children
        for child in nodes:
            if child.type == "variable_assignment":
                self.note(self.read(child, context))

    def declaration(self, node: Node, context: Context) -> None:
        """`export A=1 B`, `local A=1`, `unset A`."""
        kind = node.children[0].type if node.children else ""
        for child in node.children:
            if child.type == "variable_assignment":
                is_exported = kind == "export" or _has_x(node)
                self.note(self.read(child, context, is_exported=is_exported))
            elif child.type == "variable_name":
                name = (child.text or b"").decode(errors="replace")
                if kind == "export" or _has_x(node):
                    self._script.exports.setdefault(name, self._script.next_order())
                elif kind in ("unset", "unsetenv"):
                    self.unknown(name, child.start_byte, child.end_byte, context, child)
            elif child.is_named:
                self._inside(child, context)

    def command(self, command: Command) -> None:
        """`read A`, `mapfile -t A`, `shift`."""
        if command.name == "shift":
            self._shift(command)
        if command.name not in _READERS:
            return
        body = _whole_heredoc(command)
        if body is not None and (name := command.words[-1].literal):
            value = known_text(body, self._shell)
            order = self._script.next_order()
            span, node = command.words[-1].span, command.node
            self.note(Assignment(name, value, None, span, order, command.context, node=node))
            return
        for word in command.words[1:]:
            changed = _CHANGED.match(word.shown) if command.name == "let" else None
            name = changed[1] if changed else word.literal
            if name and name.isidentifier():
                order = self._script.next_order()
                self.note(
                    Assignment(
                        name, None, None, word.span, order, command.context,
                        is_known=False, node=command.node,
                    )
                )  # fmt: skip

    def _shift(self, command: Command) -> None:
        """`shift`, `shift 2`: what `$@` was, without its first words."""
        before = self._shell.assignments.get("@")
        if not before:
            return
        said = command.words[1].literal if len(command.words) > 1 else "1"
        items = before[-1].items
        count = whole(said)
        items = items[count:] if items is not None and count is not None else None
        order = self._script.next_order()
        positional(self._shell, items, order, command.context, command)

    def read(self, node: Node, context: Context, *, is_exported: bool = False) -> Assignment:
        """Return the assignment that a node is."""
        name_node, value_node = node.child_by_field_name("name"), node.child_by_field_name("value")
        name = (name_node.text or b"").decode(errors="replace") if name_node else ""
        is_known = name_node is None or name_node.type != "subscript"
        value: Word | None = None
        items: tuple[Word, ...] | None = None
        if value_node is not None:
            self._inside(value_node, context)
            if value_node.type == "array":
                items = tuple(self._items(value_node))
            else:
                value = self._printed(value_node) or read_word(
                    value_node, self._shell.text, self._shell, node
                )
        else:  # `A=`: an empty value
            value = Word((), self._shell.text.span(node.end_byte, node.end_byte))
        written = (node.text or b"")[len((name_node.text or b"") if name_node else b"") :]
        return Assignment(
            name.partition("[")[0], value, items,
            self._shell.text.span(node.start_byte, node.end_byte),
            self._script.next_order(), context, is_exported, written.startswith(b"+"),
            is_known, node,
        )  # fmt: skip

    def _printed(self, node: Node) -> Word | None:
        """Return what `$(cat <<EOF …)` is."""
        if node.type == "string" and node.named_child_count == 1:
            node = node.named_children[0]
        if node.type != "command_substitution" or node.named_child_count != 1:
            return None
        inner = node.named_children[0]
        body = inner.child_by_field_name("body")
        redirects = inner.children_by_field_name("redirect")
        if body is None or body.text != b"cat" or len(redirects) != 1:
            return None
        if redirects[0].type != "heredoc_redirect":
            return None
        return known_text(heredoc(redirects[0], self._shell.text, self._shell), self._shell)

    def _items(self, node: Node) -> Iterator[Word]:
        for child in node.children:
            if child.is_named and child.type != "comment" and not is_rest(child):
                yield read_word(child, self._shell.text, self._shell)


def positional(
    shell: Shell, words: Sequence[Word] | None, order: int, context: Context, command: Command
) -> None:
    """Note what `$@`, `$1`, … are in a shell from here on; None = not known."""
    span, node = command.span, command.node
    is_known = words is not None
    items = tuple(words or ())
    every = Assignment(
        "@", None, items if is_known else None, span, order, context, is_known=is_known, node=node
    )
    shell.assignments.setdefault("@", []).append(every)
    for number in range(1, 10):
        known = shell.assignments.setdefault(str(number), [])
        word = items[number - 1] if number <= len(items) else None
        if word is not None or known:
            has_word = word is not None
            one = Assignment(
                str(number), word, None, span, order, context, is_known=has_word, node=node
            )
            known.append(one)


def _whole_heredoc(command: Command) -> Text | None:
    """Return what `read -r -d '' NAME <<EOF` puts into NAME."""
    words = [word.shown for word in command.words]
    if command.name != "read" or not any(re.fullmatch(r"-[a-zA-Z]*d", word) for word in words):
        return None
    return next((r.heredoc for r in command.redirects if r.heredoc is not None), None)


def _has_x(node: Node) -> bool:
    """Tell whether `declare` is given -x."""
    return any((child.text or b"").startswith(b"-x") for child in node.children)
