"""Reads a script as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmkit.check.script.directives import Directives, read_directives
from slurmkit.check.script.shell import Command, Shell, Submitted
from slurmkit.check.script.source import Source, Text, whole
from slurmkit.check.script.submitted import with_options

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.script.layers import Layers
    from slurmkit.check.script.options import Given
    from slurmkit.check.script.walk import Functions
    from slurmkit.check.script.words import Word

_OTHERS = r"(python|pypy|perl|ruby|Rscript|julia|node|lua|tclsh|expect|octave|pwsh|t?csh|fish|awk)"


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
        from slurmkit.check.script.grammar import parse
        from slurmkit.check.script.walk import Walk

        self.shells.append(shell)
        try:
            Walk(self, shell, functions).run()
        except RecursionError:  # hundreds of brackets within brackets: no script that is meant
            shell.root = parse(b"")
            self.trees = [tree for tree in self.trees if tree[0] is not shell]


def read(data: bytes, name: str = "-", *, takes_branches: bool = False) -> Script:
    """Read a script, whatever it is.

    Args:
        data: The script.
        name: What it is called.
        takes_branches: Whether what a variable is given in a condition counts as if there were
            none: a guess at what nobody can know.
    """
    return _read(whole(Source(data, name)), takes_branches=takes_branches)


def _read(
    text: Text, options: Sequence[Given[Word]] = (), *, takes_branches: bool = False
) -> Script:
    directives = with_options(read_directives(text), options)
    batch = Shell(text, "batch", takes_branches=takes_branches)
    script = Script(text.source, directives, batch)
    if _is_shell(text.data):
        script.walk(script.batch, {})
    script.inner = [_read(found.text, found.options) for found in script.submitted]
    return script


def _is_shell(data: bytes) -> bool:
    """Tell whether a shell of Bourne's kind runs it: no #! says another interpreter's name."""
    first = data[: max(0, data.find(b"\n"))].decode(errors="replace")
    words = first.removeprefix("#!").split() if first.startswith("#!") else []
    names = [word.rpartition("/")[2] for word in words]
    if names[:1] == ["env"]:
        names = [name for name in names[1:] if not name.startswith("-") and "=" not in name]
    return not names or re.match(_OTHERS, names[0]) is None
