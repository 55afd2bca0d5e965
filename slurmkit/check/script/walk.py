"""Goes through a shell's text in the order of execution, and notes commands and assignments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from slurmkit.check.script.assignments import Assignments, positional
from slurmkit.check.script.grammar import chain, is_rest, parse
from slurmkit.check.script.heredoc import heredoc
from slurmkit.check.script.nested import DEEP, depth, start_shells
from slurmkit.check.script.shell import (
    Assignment,
    Command,
    Context,
    Loop,
    Redirect,
    Shell,
)
from slurmkit.check.script.source import Text
from slurmkit.check.script.words import Word, read_word

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.script.read import Script

Functions = dict[str, "tuple[Node, Text]"]
"""Functions that a shell knows, each with the text that it stands in."""

_DEEP = 8  # calls within calls
_MOST = 20_000  # commands of a script, calls unrolled
_BLOCKS = ("if_statement", "elif_clause", "else_clause", "case_item")
_SUBSTITUTIONS = ("command_substitution", "process_substitution")


class Walk:
    """Goes through one shell."""

    def __init__(self, script: Script, shell: Shell, functions: Functions) -> None:
        self.script = script
        self.shell = shell
        self.text = shell.text
        self._functions = functions
        """Those of outer shells, which may be exported."""
        self._assignments = Assignments(script, shell, self._inside)

    def run(self) -> None:
        """Note all that the shell does."""
        root = parse(self.text.data)
        self.shell.root = root
        self.script.trees.append((self.shell, root))
        self._block(root, Context())
        for name in [name for name in self.shell.functions if name not in self.shell.called]:
            self._uncalled(name)

    def _uncalled(self, name: str) -> None:
        """Go through a function that nobody calls here: where it runs is not known."""
        self.shell.called.add(name)
        body = self.shell.functions[name].child_by_field_name("body")
        if body is not None:
            shell = Shell(self.text, "unknown", enclosing=self.shell)
            self.script.shells.append(shell)
            own = {known: (node, self.text) for known, node in self.shell.functions.items()}
            walk = Walk(self.script, shell, {**self._functions, **own})
            walk._statement(body, Context(functions=(name,)))

    def _block(self, node: Node, context: Context) -> None:
        children = node.children
        for index, child in enumerate(children):
            after = children[index + 1].type if index + 1 < len(children) else ""
            if child.is_named:
                is_new = after == "&" and not context.in_background
                inner = replace(context, in_background=True) if is_new else context
                self._statement(child, inner)

    def _statement(  # noqa: PLR0912  one branch a kind of statement
        self,
        node: Node,
        context: Context,
        redirects: tuple[Redirect, ...] = (),
        pipeline: tuple[tuple[Node, ...], int] = ((), 0),
    ) -> None:
        kind = node.type
        if kind == "command":
            self._command(node, context, redirects, pipeline)
        elif kind == "redirected_statement":
            body = node.child_by_field_name("body")
            found = tuple(self._redirects(node, context))
            if body is not None:
                self._statement(body, context, redirects + found, pipeline)
            for redirect in node.children_by_field_name("redirect"):
                for child in redirect.children:  # behind a heredoc's begin
                    if child.type in ("command", "pipeline", "list"):
                        self._statement(child, context)
        elif kind == "pipeline":
            parts = tuple(child for child in node.children if child.is_named)
            for at, child in enumerate(parts):
                self._statement(child, context, redirects, (parts, at))
        elif kind == "list":
            self._list(node, context)
        elif kind == "negated_command":
            self._block(node, replace(context, is_guarded=True))
        elif kind in ("variable_assignment", "variable_assignments"):
            self._assignments.statement(node, context)
        elif kind in ("declaration_command", "unset_command"):
            self._assignments.declaration(node, context)
        elif kind == "function_definition":
            name = node.child_by_field_name("name")
            if name is not None:
                said = self.text.data[name.start_byte : name.end_byte].decode(errors="replace")
                self.shell.functions[said] = node
        elif kind in ("for_statement", "c_style_for_statement", "while_statement"):
            self._loop(node, context)
        elif kind in ("if_statement", "case_statement"):
            self._branches(node, context)
        elif kind == "subshell":
            self._block(node, replace(context, in_subshell=True))
        elif kind in _SUBSTITUTIONS:
            self._block(node, replace(context, in_substitution=True, in_background=False))
        elif kind not in ("comment", "heredoc_body", "word"):
            self._block(node, context)

    def _list(self, node: Node, context: Context) -> None:
        """`a && b || c`: what comes second may not run, what comes first may fail."""
        parts, operators = chain(node)
        blocks = context.blocks
        for at, part in enumerate(parts):
            before = operators[at - 1] if at else ""
            if before == "&&":  # where b runs, a has run
                blocks = (*blocks, part.id)
            elif before:
                blocks = (*context.blocks, part.id)
            guarded = context.is_guarded or "||" in operators[at:]
            inner = replace(context, blocks=blocks, is_guarded=guarded)
            self._statement(part, inner)

    def _branches(self, node: Node, context: Context) -> None:
        """If and case: conditions are run, branches perhaps."""
        is_condition = node.type == "if_statement"
        for child in node.children:
            if child.type in ("then", "in"):
                is_condition = False
            if not child.is_named:
                continue
            if child.type in ("elif_clause", "else_clause", "case_item"):
                inner = replace(context, blocks=(*context.blocks, child.id))
                self._block(child, inner)
            elif is_condition:
                self._statement(child, replace(context, is_guarded=True))
            else:
                self._statement(child, replace(context, blocks=(*context.blocks, node.id)))

    def _loop(self, node: Node, context: Context) -> None:
        body = node.child_by_field_name("body")
        name = ""
        words: list[Word] = []
        for child in node.children:
            if body is not None and child.start_byte >= body.start_byte:
                break
            if node.type != "for_statement":
                continue
            if child.type == "variable_name":
                name = (child.text or b"").decode(errors="replace")
            elif child.is_named:
                self._inside(child, context)
                words += () if is_rest(child) else (self._word(child),)
        if node.type == "for_statement":
            kind = "for"
        else:
            kind = "while" if node.type == "while_statement" else "c-style"
        if body is None:
            return
        header = self.text.data[node.start_byte : body.start_byte].decode(errors="replace")
        loop = Loop(kind, name, tuple(words), node, header)  # type: ignore[arg-type]
        inner = replace(
            context,
            blocks=(*context.blocks, node.id),
            loops=(*context.loops, loop),
            is_guarded=False,
        )
        if kind == "while":
            for child in node.children:
                if child.start_byte < body.start_byte and child.is_named:
                    self._statement(child, replace(context, is_guarded=True))
        if name:
            self._assignments.unknown(name, node.start_byte, body.start_byte, inner, node)
        self._assignments.loop(node, body, header if kind == "c-style" else "", inner)
        self._statement(body, inner)

    def _command(
        self,
        node: Node,
        context: Context,
        redirects: tuple[Redirect, ...],
        pipeline: tuple[tuple[Node, ...], int],
    ) -> None:
        words: list[Word] = []
        variables: list[Assignment] = []
        found: list[Redirect] = list(redirects)
        for child in node.children:
            if child.type == "variable_assignment":
                variables.append(self._assignments.read(child, context, is_exported=True))
            elif child.type in ("file_redirect", "herestring_redirect", "heredoc_redirect"):
                found.append(self._redirect(child, context))
            elif child.is_named or child.type not in ("\n",):
                self._inside(child, context)
                words += () if is_rest(child) else (self._word(child),)
        if len(self.script.commands) >= _MOST:
            return
        if variables and not words:  # "A=b`c`", which the grammar takes for a command
            for variable in variables:
                self._assignments.note(replace(variable, is_exported=False))
            return
        command = Command(
            tuple(words), tuple(variables), tuple(found), *pipeline,
            self.text.span(node.start_byte, node.end_byte),
            self.script.next_order(), context, self.shell, node,
        )  # fmt: skip
        self.shell.commands.append(command)
        self.script.commands.append(command)
        self._assignments.command(command)
        own = {name: (found, self.text) for name, found in self.shell.functions.items()}
        functions = {**self._functions, **own}
        start_shells(self.script, command, functions)
        self._call(command, context, functions)

    def _call(self, command: Command, context: Context, functions: Functions) -> None:
        """Go through a function where it is called."""
        name = command.name
        found = functions.get(name)
        if found is None or name in context.functions or len(context.functions) >= _DEEP:
            return
        body = found[0].child_by_field_name("body")
        inner = replace(context, functions=(*context.functions, name))
        if body is None:
            return
        arguments = command.words[1:]
        if name in self.shell.functions:
            self.shell.called.add(name)
            before = self.shell.assignments.get("@", ())
            own = before[-1].items if before else None
            positional(self.shell, arguments, self.script.next_order(), context, command)
            self._statement(body, inner)
            positional(self.shell, own, self.script.next_order(), context, command)
        elif depth(self.shell) < DEEP:  # one that the outer shell has exported
            shell = Shell(
                found[1], self.shell.where, command, self.shell.in_container, self.shell.through,
                handles=self.shell.handles,
            )  # fmt: skip
            command.nested.append(shell)
            at: Shell | None = self.shell
            while at is not None:
                if name in at.functions:
                    at.called.add(name)
                at = at.parent
            inner = Context(functions=inner.functions)
            positional(shell, arguments, self.script.next_order(), inner, command)
            Walk(self.script, shell, functions)._statement(body, inner)

    def _inside(self, node: Node, context: Context) -> None:
        """What is run to make a word."""
        for child in (node, *node.children):
            if child.type in _SUBSTITUTIONS:
                self._statement(child, context)
            elif child is not node and child.child_count:
                self._inside(child, context)

    def _word(self, node: Node) -> Word:
        return read_word(node, self.text, self.shell)

    def _redirects(self, node: Node, context: Context) -> Iterator[Redirect]:
        for child in node.children_by_field_name("redirect"):
            yield self._redirect(child, context)
            yield from self._redirects(child, context)  # behind a heredoc's begin

    def _redirect(self, node: Node, context: Context) -> Redirect:
        if node.type == "heredoc_redirect":
            return Redirect("<<", "", None, heredoc(node, self.text, self.shell))
        operator, descriptor, target = "", "", None
        for child in node.children:
            if child.type == "file_descriptor":
                descriptor = (child.text or b"").decode()
            elif not child.is_named:
                operator = child.type
            elif child.type != "comment":
                self._inside(child, context)
                target = self._word(child)
        return Redirect(operator, descriptor, target)
