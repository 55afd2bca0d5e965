"""What a shell does: its commands and assignments, in the order in which they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from slurmkit.check.script.source import Span, Text
from slurmkit.check.script.words import Word

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.script.options import Given

Where = Literal["batch", "node", "unknown"]


@dataclass(frozen=True, eq=False)
class Loop:
    """A loop around a command."""

    kind: Literal["for", "c-style", "while"]
    variable: str
    words: tuple[Word, ...]
    """What `for` goes over."""
    node: Node
    header: str = ""
    """Of a C-style loop: `i = 0; i < 4; i++`."""


@dataclass(frozen=True, eq=False)
class Redirect:
    """`2> file`: where output goes, or input comes from."""

    operator: str
    descriptor: str
    target: Word | None
    heredoc: Text | None = None


@dataclass(frozen=True)
class Context:
    """What is around a command."""

    blocks: tuple[int, ...] = ()
    """The branches and loop bodies that it stands in, from the outside: it may not run."""
    loops: tuple[Loop, ...] = ()
    functions: tuple[str, ...] = ()
    """The functions that have been called to get there."""
    in_background: bool = False
    is_guarded: bool = False
    """Whether its failure is asked for: `if cmd`, `cmd || …`, `! cmd`."""
    in_substitution: bool = False
    in_subshell: bool = False


@dataclass(frozen=True, eq=False)
class Assignment:
    """NAME=value."""

    name: str
    value: Word | None
    """None where there is none, or where it is an array."""
    items: tuple[Word, ...] | None
    """Of an array."""
    span: Span
    order: int
    context: Context
    is_exported: bool = False
    is_appended: bool = False
    is_known: bool = True
    """False for `read NAME`, `mapfile NAME`, a loop's variable: it has some value."""
    node: Node | None = None


@dataclass(eq=False)
class Shell:
    """One shell that reads a text: the batch script's, or that of a `bash -c '…'`."""

    text: Text
    where: Where
    """On the batch host, once; on the nodes, once a task; or nobody knows."""
    starter: Command | None = None
    """The command that starts it."""
    in_container: bool = False
    through: str = ""
    """How it gets to the nodes: srun, ssh, pdsh, mpirun; nothing in the batch script."""
    commands: list[Command] = field(default_factory=list)
    """In the order of execution, those of called functions where they are called."""
    assignments: dict[str, list[Assignment]] = field(default_factory=dict)
    functions: dict[str, Node] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    handles: tuple[str, ...] = ()
    """Of a `trap '…' USR1`: the signals."""
    root: Node | None = None
    enclosing: Shell | None = None
    """Of a function that nobody calls here: the shell that has it."""
    takes_branches: bool = False
    """Whether what a variable is given in a condition counts as if there were none."""

    @property
    def parent(self) -> Shell | None:
        """The shell that starts it."""
        return self.starter.shell if self.starter else self.enclosing


@dataclass(frozen=True, eq=False)
class Command:
    """A simple command."""

    words: tuple[Word, ...]
    variables: tuple[Assignment, ...]
    """NAME=value in front of it."""
    redirects: tuple[Redirect, ...]
    pipeline: tuple[Node, ...]
    """The nodes of the pipeline that it is part of, itself included; empty outside of one."""
    at_in_pipeline: int
    span: Span
    order: int
    context: Context
    shell: Shell
    node: Node
    nested: list[Shell] = field(default_factory=list)
    """Shells that it starts here."""

    @property
    def name(self) -> str:
        """The program's name without its directory; empty where it is not known."""
        literal = self.words[0].literal if self.words else None
        return literal.rpartition("/")[2] if literal else ""

    @property
    def source(self) -> str:
        """Its text as it stands, with its redirections."""
        return self.shell.text.data[self.node.start_byte : self.node.end_byte].decode(
            errors="replace"
        )


@dataclass(frozen=True, eq=False)
class Submitted:
    """A script within the script, given to sbatch."""

    command: Command
    text: Text
    options: tuple[Given[Word], ...] = ()
    """Those of sbatch's command line."""
