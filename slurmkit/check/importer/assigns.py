"""Statements that do nothing but work out variables, and variables that only help to start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slurmkit.check.importer import names
from slurmkit.check.importer.programs import programs
from slurmkit.check.script.shell import Assignment, Command
from slurmkit.spec.reserved import reserved

if TYPE_CHECKING:
    from tree_sitter import Node

_READERS = ("read", "mapfile", "readarray")
_COMPOUND = ("if_statement", "for_statement", "case_statement", "while_statement",
             "c_style_for_statement")  # fmt: skip
_SIMPLE = ("command", "redirected_statement", "pipeline", "list")


def only_assigns(
    node: Node, commands: Sequence[Command], found: Sequence[Assignment], read: set[str]
) -> bool:
    """Tell whether a statement does nothing but work out variables.

    Args:
        node: The statement.
        commands: Its commands.
        found: The variables that it sets.
        read: The variables that the script reads itself.
    """
    if node.type in _SIMPLE:
        is_one = any(command.name in _READERS for command in commands)
    else:
        is_one = node.type in _COMPOUND
    if not is_one or not found or writes(commands):
        return False
    is_kept = any(one.is_exported and not is_gone(one.name, read, read) for one in found)
    return all(_works_out(command) for command in commands) and not is_kept


def _works_out(command: Command) -> bool:
    """Tell whether a command is there for what it prints into a variable, or for its answer."""
    is_asked = command.context.in_substitution or command.context.is_guarded
    is_plain = command.name in (*_READERS, "[", "test") or command.name in programs("harmless")
    return command.name in programs("works_out") and (is_asked or is_plain)


def writes(commands: Sequence[Command]) -> bool:
    """Tell whether commands send what they print to a file."""
    return any(
        redirect.operator.startswith((">", "&>")) and redirect.descriptor in ("", "1")
        for command in commands for redirect in command.redirects
        if redirect.target is not None and redirect.operator != ">&"
    )  # fmt: skip


def is_gone(name: str, read: set[str], of_launch: set[str]) -> bool:
    """Tell whether an exported variable only helped to start the processes.

    Args:
        name: The variable.
        read: The variables that the script reads itself.
        of_launch: Those that the launch is made of.
    """
    if reserved(name):
        return True
    if name in read and names.STARTING.match(name):
        return True
    return name in of_launch and names.LINE.search(name) is not None


def suffix(one: Assignment) -> str | None:
    """Return what `MASTER_ADDR=${node}i` appends: names on another network."""
    if one.value is None or len(one.value.pieces) < 2 or not names.is_head(one.name):
        return None
    before, last = one.value.pieces[-2:]
    is_one = last.kind == "text" and before.kind != "text" and names.SUFFIX.fullmatch(last.text)
    return last.text if is_one else None
