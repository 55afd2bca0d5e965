"""The environment variables that a script sets, however it does so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from slurmkit.check.lint.facts import says_why
from slurmkit.check.script.launches import after_equals
from slurmkit.check.script.read import Script
from slurmkit.check.script.shell import Assignment, Command, Context, Shell
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import resolve
from slurmkit.check.script.words import Piece, Word

if TYPE_CHECKING:
    from tree_sitter import Node

_ALL_EXPORTED = re.compile(rb"^\s*set\s+(?:-\w*a|-o\s+allexport)", re.MULTILINE)
_READ = re.compile(rb"""(?:\b(\w+)=["']?)?\$\{?[!#]?([A-Za-z_]\w*)""")
_ARITHMETIC = re.compile(rb"\(\(([^()\n]*)\)\)")
_IN_WORD = re.compile(r"(?:--env=|-x|-e|--set-env=)?([A-Za-z_]\w*)=")
_EXPORTED = re.compile(rb"""(?<=[,="'\s])(?!export=)([A-Za-z_]\w*)=([^,"'\s]*)""")
_PASSING = {"env", "docker", "podman", "singularity", "apptainer", "mpirun", "mpiexec", "shifter"}


@dataclass(frozen=True, eq=False)
class Setting:
    """NAME=value."""

    name: str
    value: Word | None
    name_span: Span
    span: Span
    """Name and value."""
    shell: Shell
    order: int
    context: Context
    is_exported: bool
    statement: Node | None = None
    """The node of the assignment; None for a word of `env` and the like."""
    command: Command | None = None
    """What it stands in front of, and is for alone."""

    @cached_property
    def text(self) -> str | None:
        """The value; None where it is not known."""
        return resolve(self.value, self.order, self.context)

    @property
    def literal(self) -> str | None:
        """The value where it stands there as it is; None where a shell puts something in."""
        return self.value.literal if self.value is not None else None


def settings(script: Script) -> list[Setting]:
    """Return the settings, in the order of the file; one of a function once."""
    found: dict[tuple[Span, str], Setting] = {}
    for setting in _all(script):
        found.setdefault((setting.span, setting.name), setting)
    return sorted(found.values(), key=lambda setting: setting.span)


def _all(script: Script) -> Iterator[Setting]:
    everything = _ALL_EXPORTED.search(script.source.data) is not None
    for shell in script.shells:
        for name, assignments in shell.assignments.items():
            is_exported = everything or name in script.exports
            for assignment in assignments:
                if assignment.is_known and assignment.items is None:
                    yield _of_assignment(assignment, shell, None, is_exported=is_exported)
    for command in script.commands:
        for assignment in command.variables:
            yield _of_assignment(assignment, command.shell, command, is_exported=True)
        layers = script.layers.get(command)
        if layers is not None and _PASSING.intersection(layers.wrappers):
            yield from _of_words(command, layers.words[: layers.at])
        option = layers.srun.last("export") if layers is not None and layers.srun else None
        if option is not None:
            yield from _of_export(script, option.origins[-1].span, command)
    for given in script.directives.options:
        if given.name == "export":
            yield from _of_export(script, given.origins[-1].span, None)


def _of_assignment(
    assignment: Assignment, shell: Shell, command: Command | None, *, is_exported: bool
) -> Setting:
    start = assignment.span.start
    return Setting(
        assignment.name, assignment.value, Span(start, start + len(assignment.name.encode())),
        assignment.span, shell, assignment.order, assignment.context,
        is_exported or assignment.is_exported, assignment.node, command,
    )  # fmt: skip


def _of_words(command: Command, words: tuple[Word, ...]) -> Iterator[Setting]:
    """`env A=1`, `mpirun -x A=1`, `apptainer exec --env A=1`."""
    for word in words:
        match = _IN_WORD.match(word.shown)
        if match is None or not word.pieces or word.pieces[0].kind != "text":
            continue
        start = word.span.start + match.start(1)
        value = after_equals(word)
        if match[0].count("=") > 1:  # --env=NAME=value
            value = after_equals(value)
        yield Setting(
            match[1], value, Span(start, start + len(match[1])), word.span,
            command.shell, command.order, command.context, True, None, command,
        )  # fmt: skip


def _of_export(script: Script, span: Span, command: Command | None) -> Iterator[Setting]:
    """`--export=ALL,A=1`, as an option of srun's or in a directive."""
    shell = command.shell if command is not None else script.batch
    order, context = (command.order, command.context) if command is not None else (0, Context())
    for match in _EXPORTED.finditer(script.source.data, span.start, span.end):
        value, name_span = Span(*match.span(2)), Span(*match.span(1))
        text = match[2].decode(errors="replace")
        is_put_in = "$" in text or "`" in text
        piece = Piece("substitution" if is_put_in else "text", text, value, False, shell)
        yield Setting(
            match[1].decode(), Word((piece,), value), name_span, Span(*match.span()),
            shell, order, context, True, None, command,
        )  # fmt: skip


def has_reason(script: Script, span: Span) -> bool:
    """Tell whether a comment next to a place says why."""
    source = script.source
    line = source.place(span.start)[0]
    behind = source.line_text(line).partition(" #")[2]
    return says_why(behind, source.line_text(line - 1) if line > 1 else "")


def is_conditional(setting: Setting) -> bool:
    """Tell whether it stands in a branch that may not be taken."""
    node = setting.statement
    while node is not None and node.type not in ("if_statement", "case_statement"):
        node = node.parent
    return node is not None


def names_read(script: Script) -> frozenset[str]:
    """Return the variables that the script itself uses, other than to give them a value again."""
    found = set()
    for match in _READ.finditer(script.source.data):
        assigned, name = match[1], match[2]
        if assigned != name:
            found.add(name.decode())
    for match in _ARITHMETIC.finditer(script.source.data):
        found.update(name.decode() for name in re.findall(rb"[A-Za-z_]\w*", match[1]))
    return frozenset(found)
