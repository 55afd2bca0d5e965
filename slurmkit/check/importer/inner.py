"""What a `bash -c '…'` around the launch does besides: it ran on every node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmkit.check.importer.blocks import beside, holds, statements
from slurmkit.check.importer.draft import Draft, Kept
from slurmkit.check.importer.environment import HOOK, named, stops
from slurmkit.check.importer.exports import export
from slurmkit.check.importer.names import read_in
from slurmkit.check.importer.programs import programs
from slurmkit.check.importer.values import Values
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.read import Script
from slurmkit.check.script.shell import Assignment, Command, Shell
from slurmkit.check.script.source import Span
from slurmkit.check.script.words import resolved_text
from slurmkit.spec.reserved import reserved

if TYPE_CHECKING:
    from tree_sitter import Node

_ONCE = re.compile(
    r"(cd|ulimit|umask|module|ml|conda|mamba|micromamba|mkdir -p|pip3? install)\b|eval .*hook"
    r"|(source|\.)\s+\S*(activate|conda\.sh|mamba\.sh|bashrc|profile)"
)
"""Does the same on the first node, before the step: the step's processes inherit it."""
_HANDED_ON = "ran on every node; in setup it runs on the first, before the launch"
_EACH = "ran once a node or task; now each process runs it before the program"


@dataclass
class Inner:
    """What is beside the launch in the shells around it."""

    setup: list[Kept] = field(default_factory=list)
    prelude: list[str] = field(default_factory=list)
    """Lines that each process runs before the program."""


def read_inner(script: Script, launch: Launch, draft: Draft) -> Inner:
    """Place the statements beside the launch."""
    found = Inner()
    for command, _ in around(script, launch.command):
        shell = command.shell
        if shell is script.batch or shell.root is None:
            continue
        span = Span(command.node.start_byte, command.node.end_byte)
        is_behind = False
        for node in statements(shell.root):
            before, behind = [node] if not is_behind else [], [node] if is_behind else []
            if holds(node, span):
                is_behind = True
                before, behind = beside(node, span)
            for one in before:
                _place(script, launch, shell, one, draft, found)
            for one in behind:
                _tell_behind(script, shell, one, draft)
    return found


def _place(  # noqa: PLR0913, PLR0917  a statement and where it is
    script: Script, launch: Launch, shell: Shell, node: Node, draft: Draft, found: Inner
) -> None:
    text = resolved_text(shell.text, node.start_byte, node.end_byte)
    line = script.source.place(shell.text.span(node.start_byte, node.end_byte).start)[0]
    inside = [c for c in shell.commands if _is_within(c, node)]
    kinds = ("variable_assignment", "variable_assignments", "declaration_command",
             "function_definition")  # fmt: skip
    if node.type in kinds or stops(" ".join(text.split())) is not None:
        return  # variables are read elsewhere
    if all(c.name in programs("harmless") or c.context.in_substitution for c in inside):
        return
    is_open = not (shell.in_container or draft.get("environment", "modules"))
    field_of = None if shell.in_container else named(" ".join(text.split()), draft, is_open=is_open)
    if field_of is not None and field_of != HOOK:
        return
    for name in read_in(text):
        if name in script.batch.assignments and name not in shell.assignments:
            draft.needed.setdefault(name, line)
            draft.exported.add(name)
    if launch.in_container or (launch.kind == "direct" and not _ONCE.match(text)):
        ends = " || exit" if _leads_on(node) and "<<" not in text else ""
        found.prelude.append((text + ends).replace("${", "$${"))
        draft.note(line, "changed", text, _EACH)
    else:
        found.setup.append(Kept(text, f"line {line}, which ran on every node"))
        draft.note(line, "changed", text, _HANDED_ON)


def _leads_on(node: Node) -> bool:
    """Tell whether `&&` stands behind it: where it fails, the program does not start."""
    at = node
    while at.parent is not None and at.parent.type == "list" and at.next_sibling is None:
        at = at.parent
    return at.next_sibling is not None and at.next_sibling.type == "&&"


def _tell_behind(script: Script, shell: Shell, node: Node, draft: Draft) -> None:
    if all(c.name in programs("harmless") for c in shell.commands if _is_within(c, node)):
        return
    line = script.source.place(shell.text.span(node.start_byte, node.end_byte).start)[0]
    text = resolved_text(shell.text, node.start_byte, node.end_byte)
    draft.note(line, "changed", text, "comes behind the program, on each node: left out")


def _is_within(command: Command, node: Node) -> bool:
    at = command.node
    return node.start_byte <= at.start_byte and at.end_byte <= node.end_byte


def read_variables(script: Script, launch: Launch, draft: Draft, values: Values) -> dict[str, str]:
    """Return NAME=value in front of the launch, and exports of the shells around it."""
    before = dict(draft.get("environment", "variables") or {})
    for command, _ in around(script, launch.command):
        line = script.source.place(command.span.start)[0]
        given = [one for one in command.variables if one.name.isidentifier()]
        if command.shell is not script.batch:
            given += list(_exported(command.shell))
        for one in given:
            why = reserved(one.name)
            if why is not None or one.value is None:
                draft.note(line, "dropped", one.name, "slurmkit works it out" if why else "unknown")
            else:
                export(one, draft, values, line)
    now = draft.get("environment", "variables") or {}
    return {name: text for name, text in now.items() if before.get(name) != text}


def _exported(shell: Shell) -> Iterator[Assignment]:
    for every in shell.assignments.values():
        yield from (one for one in every if one.name.isidentifier() and one.is_exported)
