"""Notes what a statement assigns: `A=1`, `export A=1`, `read A`, `unset A`, an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from slurmkit.check.script.shell import Assignment, Command, Context, Shell
from slurmkit.check.script.words import Word, read_word

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.script.read import Script

_READERS = ("read", "mapfile", "readarray", "getopts")


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
        """`read A`, `mapfile -t A`."""
        if command.name not in _READERS:
            return
        for word in command.words[1:]:
            name = word.literal
            if name and name.isidentifier():
                order = self._script.next_order()
                self.note(
                    Assignment(
                        name, None, None, word.span, order, command.context,
                        is_known=False, node=command.node,
                    )
                )  # fmt: skip

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
                value = read_word(value_node, self._shell.text, self._shell)
        else:  # `A=`: an empty value
            value = Word((), self._shell.text.span(node.end_byte, node.end_byte))
        written = (node.text or b"")[len((name_node.text or b"") if name_node else b"") :]
        return Assignment(
            name.partition("[")[0], value, items,
            self._shell.text.span(node.start_byte, node.end_byte),
            self._script.next_order(), context, is_exported, written.startswith(b"+"),
            is_known, node,
        )  # fmt: skip

    def _items(self, node: Node) -> Iterator[Word]:
        for child in node.children:
            if child.is_named and child.type != "comment":
                yield read_word(child, self._shell.text, self._shell)


def _has_x(node: Node) -> bool:
    """Tell whether `declare` is given -x."""
    return any((child.text or b"").startswith(b"-x") for child in node.children)
