"""Where a script reads a variable, whichever shell does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from slurmkit.check.lint.job import Job
from slurmkit.check.script.grammar import language
from slurmkit.check.script.shell import Shell
from slurmkit.check.script.source import Span

if TYPE_CHECKING:
    from tree_sitter import Node, Query

_BARE = re.compile(rb"""\[\[?\s+(?:!\s+)?"?\$\{?\w+\}?"?\s+\]\]?""")
"""`[ "$NAME" ]`: whether it has any value."""
_EXPANSIONS = ("simple_expansion", "expansion")
_NO_READS = (
    "variable_assignment", "unset_command", "declaration_command", "function_definition",
    "for_statement", "command_name", "select_statement",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Read:
    """A variable that a shell reads."""

    name: str
    shell: Shell
    span: Span
    """Its name itself."""
    whole: Span
    """`$NAME` or `${NAME…}`."""
    operation: str
    """Of `${NAME…}`: what follows the name."""
    node: Node

    @property
    def is_asked(self) -> bool:
        """Whether the script itself thinks of its not being set: `${NAME:-1}`, `[ -z "$NAME" ]`."""
        if self.operation[:2] in (":-", ":=", ":+", ":?") or self.operation[:1] in ("-", "+", "?"):
            return True
        at = self.node.parent
        for _ in range(5):
            if at is None:
                return False
            text = at.text or b""
            if _BARE.fullmatch(text):
                return True
            if at.type == "test_command" or (at.type == "command" and text.startswith(b"test ")):
                return any(f" {flag} ".encode() in text for flag in ("-z", "-n", "-v", "!=", "=="))
            at = at.parent
        return False

    @property
    def is_told(self) -> bool:
        """Whether it is only printed: `echo "$NAME"`."""
        at = self.node.parent
        while at is not None:
            if at.type in ("command_substitution", "heredoc_body", "variable_assignment"):
                return False
            if at.type == "command":
                name = at.child_by_field_name("name")
                return name is not None and name.text in (b"echo", b"printf", b"logger", b"log")
            at = at.parent
        return False


@lru_cache(maxsize=4)
def reads(job: Job) -> tuple[Read, ...]:
    """Return all of them, in the order of the text of each shell."""
    return tuple(_reads(job))


def _reads(job: Job) -> Iterator[Read]:
    from tree_sitter import QueryCursor

    for shell, root in job.script.trees:
        found = QueryCursor(_query()).captures(root).get("name", [])
        for node in sorted(found, key=lambda node: node.start_byte):
            parent = node.parent
            if parent is None or parent.type in _NO_READS:
                continue
            if parent.type == "subscript" and parent.parent is not None:
                parent = parent.parent
                if parent.type in _NO_READS:
                    continue
            text, whole, operation = shell.text, node, ""
            if parent.type in _EXPANSIONS:
                whole = parent
                after = text.data[node.end_byte : parent.end_byte].decode(errors="replace")
                before = text.data[parent.start_byte : node.start_byte].lstrip()
                operation = after.removesuffix("}") if before.startswith(b"${") else ""
                if before[2:3] in (b"!", b"#"):
                    operation = before[2:3].decode() + operation
            yield Read(
                (node.text or b"").decode(errors="replace"),
                shell,
                text.span(node.start_byte, node.end_byte),
                text.span(whole.start_byte, whole.end_byte),
                operation,
                node,
            )


@cache
def _query() -> Query:
    from tree_sitter import Query

    return Query(language(), "(variable_name) @name")
