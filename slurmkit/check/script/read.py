"""Reads a script as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmkit.check.script.directives import Directives, read_directives
from slurmkit.check.script.shell import Command, Shell, Submitted
from slurmkit.check.script.source import Source, Text, whole

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.script.layers import Layers
    from slurmkit.check.script.walk import Functions


@dataclass(eq=False)
class Script:
    """A script, read; one that it gives to sbatch is a script of its own."""

    source: Source
    directives: Directives
    batch: Shell
    """The shell that reads the file."""
    commands: list[Command] = field(default_factory=list)
    """All commands, those of inner shells included, in the order of execution."""
    shells: list[Shell] = field(default_factory=list)
    trees: list[tuple[Shell, Node]] = field(default_factory=list)
    layers: dict[Command, Layers] = field(default_factory=dict)
    files: dict[str, Text] = field(default_factory=dict)
    """Files that it writes by a heredoc."""
    exports: dict[str, int] = field(default_factory=dict)
    """`export NAME` without a value, and when."""
    submitted: list[Submitted] = field(default_factory=list)
    inner: list[Script] = field(default_factory=list)
    """The scripts that it gives to sbatch."""
    _order: int = 0

    def next_order(self) -> int:
        """Count the steps of execution."""
        self._order += 1
        return self._order

    def walk(self, shell: Shell, functions: Functions) -> None:
        """Note what a shell does."""
        from slurmkit.check.script.walk import Walk

        self.shells.append(shell)
        Walk(self, shell, functions).run()


def read(data: bytes, name: str = "-") -> Script:
    """Read a script, whatever it is."""
    return _read(whole(Source(data, name)))


def _read(text: Text) -> Script:
    script = Script(text.source, read_directives(text), Shell(text, "batch"))
    script.walk(script.batch, {})
    script.inner = [_read(submitted.text) for submitted in script.submitted]
    return script
