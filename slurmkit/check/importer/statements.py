"""Everything else in the script: modules, environments, exports; the rest goes into setup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit.check.importer import names
from slurmkit.check.importer.assigns import is_gone, only_assigns, suffix, writes
from slurmkit.check.importer.blocks import beside, enclosing, holds, statements
from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.environment import HOOK, named, stops
from slurmkit.check.importer.exports import export, is_plain
from slurmkit.check.importer.loops import what_is_around
from slurmkit.check.importer.programs import programs
from slurmkit.check.importer.setup import Entry, finish
from slurmkit.check.importer.values import Values
from slurmkit.check.lint.job import Job
from slurmkit.check.script.shell import Assignment, Command, Shell
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import resolve
from slurmkit.check.script.words import resolved_text

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True)
class Origin:
    """Where the launch begins in the batch script."""

    span: Span
    functions: set[str]
    """The functions that lead to it."""
    names: set[str]
    """The variables that its words are made of."""
    body: Node | None = None
    """The function that it is in."""
    inside: Span | None = None
    """Where it is in there."""


class Statements:
    """Goes through the script's own statements, those of its top and those around the launch."""

    def __init__(self, job: Job, draft: Draft, values: Values, origin: Origin) -> None:
        self._job = job
        self._draft = draft
        self._values = values
        self._origin = origin
        self._entries: list[Entry] = []
        self._hooks: list[Node] = []
        """What has to come before `conda activate`."""
        self._is_open = True
        """Whether modules and venv may still be named: nothing before them is in setup."""
        first = job.script.source.line_text(1)
        self._stops = re.match(r"#!\S+.*\s-\w*e", first) is not None
        """Whether a failure ends the script here."""

    def read(self) -> None:
        """Place every statement of the batch script."""
        self._block(statements(self._job.script.batch.root))
        self._take_back_hooks()
        name = self._job.script.source.name
        finish(
            self._entries, self._draft, self._origin.names, name if name != "-" else "the script"
        )

    def _block(self, nodes: Iterable[Node]) -> None:
        shell = self._job.script.batch
        is_behind = False
        for node in nodes:
            if self._leads_to_launch(node):
                continue
            if holds(node, self._origin.span):
                is_behind = True
                behind = self._beside(node, self._origin.span)
                self._around(node)
                for other in behind:
                    self._behind(other)
            elif is_behind:
                self._behind(node)
            else:
                self._place(node, shell)

    def _beside(self, node: Node, span: Span) -> list[Node]:
        """Place what runs before the launch in the blocks around it; return what comes behind."""
        before, behind = beside(node, span)
        for other in before:
            self._place(other, self._job.script.batch)
        body = self._origin.body
        if body is not None and self._origin.inside is not None:
            first, last = beside(body, self._origin.inside)
            for other in first:
                self._in_function(other)
            behind = [*last, *behind]
        return behind

    def _in_function(self, node: Node) -> None:
        """A statement of the function around the launch, which may have arguments."""
        text = self._text(node)
        body = self._text(self._origin.body) if self._origin.body is not None else ""
        own = set(re.findall(r"\blocal\s+(?:-\w+\s+)?(\w+)", body)) & set(names.read_in(text))
        if own or re.match(r"local\b|shift\b", text) or re.search(r"\$\{?[1-9@*#]", text):
            if not re.match(r"local\b|shift\b|\w+=", text):
                why = "in the function around the launch, with its arguments: left out"
                self._draft.note(self._line(node), "changed", self._first(node), why)
        else:
            self._place(node, self._job.script.batch)

    def _leads_to_launch(self, node: Node) -> bool:
        """Tell whether it defines a function that the launch is in."""
        name = node.child_by_field_name("name")
        if node.type != "function_definition" or name is None:
            return False
        return (name.text or b"").decode(errors="replace") in self._origin.functions

    def _around(self, node: Node) -> None:
        """The statement with the launch in it: srun, loop and rank are slurmkit's now."""
        for at in enclosing(node, self._origin.span):
            told = what_is_around(at.type, self._text(at), self._draft.swept)
            if told is not None:
                self._draft.note(self._line(at), told[0], self._first(at), told[1])
        if any(c.name == "tee" for c in self._commands(node)) or writes(list(self._commands(node))):
            why = "slurmkit keeps the output: slurmkit-%j.out, and a log file a rank"
            self._draft.note(self._line(node), "dropped", "output to a file", why)

    def _behind(self, node: Node) -> None:
        text = self._text(node)
        found = [c for c in self._commands(node) if not re.match(r"conda deactivate", c.source)]
        is_plain_kind = node.type in (
            "variable_assignment", "variable_assignments", "function_definition", "unset_command",
            "declaration_command",
        )  # fmt: skip
        is_nothing = not writes(list(self._commands(node))) and all(
            c.name in programs("harmless") and "requeue" not in c.source for c in found
        )
        if is_plain_kind or (is_nothing and node.type != "ERROR"):
            why = "comes behind the launch, and does nothing"
            self._draft.note(self._line(node), "dropped", self._first(node), why)
            return
        self._entries.append(Entry(self._line(node), text, node, tuple(found), is_behind=True))
        why = "comes behind the launch, for which a job file has no place; a template has one"
        self._draft.note(self._line(node), "changed", self._first(node), why)

    def _place(self, node: Node, shell: Shell) -> None:
        kind, text = node.type, self._resolved(node)
        mode = stops(text)
        if mode is not None:
            self._stops = mode == "on" if mode else self._stops
            why = "the script that slurmkit writes has -e and pipefail, and shows no commands"
            self._draft.note(self._line(node), "moved", text, why)
        elif re.fullmatch(r"shift( \d+)?( \|\| (true|:))?|unset SLURM_EXPORT_ENV|clear", text):
            whys = {"s": "there are no arguments", "u": "srun hands on everything"}
            self._draft.note(self._line(node), "dropped", text, whys.get(text[0], "of no use"))
        elif kind in ("variable_assignment", "variable_assignments"):
            self._hold(node, shell)
        elif kind == "declaration_command" and text.startswith("export "):
            self._export(node, shell)
        elif (found := named(text, self._draft, is_open=self._is_open)) is None:
            read = set(self._job.names_read) | self._origin.names
            commands = list(self._commands(node))
            if only_assigns(node, commands, self._assignments(node, shell), read):
                self._hold(node, shell)
            else:
                self._keep(node)
        elif found == HOOK:
            self._hooks.append(node)
        elif found:
            self._draft.note(self._line(node), "moved", self._first(node), found)

    def _hold(self, node: Node, shell: Shell) -> None:
        """An assignment: kept if something in setup, or the program, reads it."""
        found = self._assignments(node, shell)
        for one in found:
            if (said := suffix(one)) is not None:
                self._draft.put("site", "host_suffix", said)
                line = self._job.script.source.place(one.span.start)[0]
                why = "site.host_suffix: all nodes meet by these names, whatever the condition was"
                self._draft.note(line, "changed", one.name, why)
        text = self._text(node)
        sets = tuple(dict.fromkeys(a.name for a in found)) or tuple(re.findall(r"\w+", text)[1:])
        self._append(node, sets)

    def _is_gone(self, name: str) -> bool:
        read = set(self._job.names_read) | self._origin.names
        return is_gone(name, read, self._origin.names)

    def _export(self, node: Node, shell: Shell) -> None:
        found = self._assignments(node, shell)
        if not found:
            self._export_later(node, shell)
        elif all(self._is_gone(one.name) for one in found):
            self._hold(node, shell)
        elif all(is_plain(one, shell, is_open=self._is_open) for one in found):
            for one in found:
                export(one, self._draft, self._values, self._line(node))
            self._append(node, None, tuple(one.name for one in found))
        else:
            self._keep(node)

    def _export_later(self, node: Node, shell: Shell) -> None:
        """`export NAME`, of what was assigned before."""
        words = self._text(node).split()[1:]
        if words[:1] == ["-f"]:
            self._export_functions(node, words[1:])
            return
        if 0 < len(gone := [w for w in words if self._is_gone(w)]) < len(words):
            left = " ".join(["export", *(w for w in words if w not in gone)])
            self._draft.note(
                self._line(node), "dropped", names.shown(gone), "slurmkit works it out"
            )
            self._append(node, None, text=left)
            return
        given = [shell.assignments[w][-1] for w in words if w in shell.assignments]
        if all(self._is_gone(w) for w in words):
            self._append(node, tuple(words))
        elif len(given) == len(words) and all(is_plain(one, shell) for one in given):
            for one in given:
                export(one, self._draft, self._values, self._line(node))
            self._append(node, None, tuple(words))
        else:
            self._keep(node)

    def _export_functions(self, node: Node, given: list[str]) -> None:
        """`export -f NAME`: programs on the nodes may call it; not so the launch's own function."""
        if not self._origin.functions & set(given):
            self._keep(node)
            return
        why = "the function with the launch in it: slurmkit starts the program itself"
        self._draft.note(self._line(node), "dropped", self._first(node), why)

    def _resolved(self, node: Node) -> str:
        """Return a statement on one line; of a command with the variables that are known."""
        command = next(self._commands(node), None) if node.type == "command" else None
        if command is not None and command.node.id == node.id:
            known = [resolve(w, command.order, command.context) for w in command.words]
            if known and all(word is not None and " " not in word for word in known):
                return " ".join(word for word in known if word is not None)
        return " ".join(self._text(node).split())

    def _keep(self, node: Node) -> None:
        found = {command.name for command in self._commands(node)}
        if node.type != "function_definition" and not found <= programs("harmless"):
            self._is_open = False
        self._append(node, None)

    def _append(
        self, node: Node, sets: tuple[str, ...] | None, fields: tuple[str, ...] = (), text: str = ""
    ) -> None:
        text = text or self._text(node)
        if node.next_sibling is not None and node.next_sibling.type == "&":
            text += " &"
        commands = tuple(self._commands(node))
        entry = Entry(self._line(node), text, node, commands, sets, self._stops, fields=fields)
        self._entries.append(entry)

    def _take_back_hooks(self) -> None:
        for node in reversed(self._hooks):
            if self._draft.get("environment", "conda"):
                self._draft.note(self._line(node), "moved", self._first(node), HOOK)
            else:
                entry = Entry(self._line(node), self._text(node), node, ())
                self._entries.insert(0, entry)

    def _commands(self, node: Node) -> Iterator[Command]:
        for command in self._job.script.commands:
            if command.shell is self._job.script.batch and (
                node.start_byte <= command.node.start_byte
                and command.node.end_byte <= node.end_byte
            ):
                yield command

    def _assignments(self, node: Node, shell: Shell) -> list[Assignment]:
        found = (a for every in shell.assignments.values() for a in every)
        return [
            a for a in found
            if a.node is not None and a.name.isidentifier()
            and node.start_byte <= a.node.start_byte and a.node.end_byte <= node.end_byte
        ]  # fmt: skip

    def _text(self, node: Node) -> str:
        return resolved_text(self._job.script.batch.text, node.start_byte, node.end_byte)

    def _first(self, node: Node) -> str:
        lines = self._text(node).splitlines()
        return lines[0] if lines else ""

    def _line(self, node: Node) -> int:
        script = self._job.script
        return script.source.place(script.batch.text.span(node.start_byte, node.end_byte).start)[0]
