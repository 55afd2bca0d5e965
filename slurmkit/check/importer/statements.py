"""Everything else in the script: modules, environments, exports; the rest goes into setup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.environment import HOOK, named
from slurmkit.check.importer.exports import export, is_plain
from slurmkit.check.importer.values import Values
from slurmkit.check.lint.job import Job
from slurmkit.check.script.shell import Assignment, Command, Shell
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import resolve
from slurmkit.spec.reserved import reserved

if TYPE_CHECKING:
    from tree_sitter import Node

HARMLESS = (
    "echo", "printf", "date", "hostname", "pwd", "nvidia-smi", "which", "env", "printenv", "ulimit",
    "lscpu", "free", "df", "uname", "whoami", "sleep", "wait", "scontrol", "set", "squeue", "cat",
    "rocm-smi", "nvcc", "exit", "true", ":", "ls", "clear", "sync", "time", "gcc",
)  # fmt: skip
_MEETING = re.compile(
    r"(MASTER|HEAD|MAIN|RDZV|RENDEZVOUS)\w*(ADDR|PORT|NODE|IP|HOST|ENDPOINT|ID|BACKEND)\w*$"
    r"|(GPUS|NPROC|PROCS?|TASKS|NUM|N|NODE|MACHINE|GLOBAL|LOCAL)_?(PER_NODE|GPUS|NODES|PROC\w*|"
    r"RANK|SIZE)\w*$|NNODES$|NODELIST$|HOSTLIST$|WORLD_SIZE$|RANK$|LOCAL_RANK$|"
    r"SLURM_CPU_BIND$|SRUN_CPUS_PER_TASK$|SLURM_KILL_BAD_EXIT$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Origin:
    """Where the launch begins in the batch script."""

    span: Span
    functions: set[str]
    """The functions that lead to it."""
    names: set[str]
    """The variables that its words are made of."""


class Statements:
    """Goes through the script's own statements, those of its top and those around the launch."""

    def __init__(self, job: Job, draft: Draft, values: Values, origin: Origin) -> None:
        self._job = job
        self._draft = draft
        self._values = values
        self._origin = origin
        self._kept: list[tuple[int, str, Node]] = []
        """What goes into setup: line, text, node."""
        self._held: dict[int, tuple[Node, list[Assignment]]] = {}
        """Assignments that are kept only if something reads them."""
        self._hooks: list[Node] = []
        """What has to come before `conda activate`."""
        self._is_open = True
        """Whether modules and venv may still be named: nothing before them is in setup."""

    def read(self) -> None:
        """Place every statement of the batch script."""
        shell = self._job.script.batch
        is_behind = False
        for node in _statements(shell.root):
            if self._leads_to_launch(node):
                why = "a function around the launch: slurmkit starts it, on all nodes"
                first = self._text(node).splitlines()[0]
                self._draft.note(self._line(node), "moved", first, why)
            elif self._holds_launch(node):
                is_behind = True
                self._around(node)
            elif is_behind:
                self._behind(node)
            else:
                self._place(node, shell)
        self._write()

    def _holds_launch(self, node: Node) -> bool:
        span = self._origin.span
        return node.start_byte <= span.start and span.end <= node.end_byte

    def _leads_to_launch(self, node: Node) -> bool:
        """Tell whether it defines a function that the launch is in."""
        name = node.child_by_field_name("name")
        if node.type != "function_definition" or name is None:
            return False
        return (name.text or b"").decode() in self._origin.functions

    def _around(self, node: Node) -> None:
        """The statement with the launch in it: srun, loop and rank are slurmkit's now."""
        kinds = {"for_statement": "a loop over the nodes", "if_statement": "a condition",
                 "case_statement": "a condition", "while_statement": "a loop"}  # fmt: skip
        if node.type in kinds:
            why = f"{kinds[node.type]} around the launch: slurmkit starts it once, on all nodes"
            kind = "moved" if node.type == "for_statement" else "changed"
            self._draft.note(self._line(node), kind, self._text(node).splitlines()[0], why)  # type: ignore[arg-type]
        if "tee " in self._text(node) or re.search(r"[^<>&\d]>{1,2}\s*[\w$\"/]", self._text(node)):
            why = "slurmkit keeps the output: slurmkit-%j.out, and a log file a rank"
            self._draft.note(self._line(node), "dropped", "output to a file", why)

    def _behind(self, node: Node) -> None:
        text = self._text(node)
        names = {c.name for c in self._commands(node)}
        if names and names <= {"wait", "exit", "echo", "printf", "date", "set", "sleep", "true"}:
            self._draft.note(self._line(node), "dropped", text, "comes behind the launch")
            return
        if node.type in ("variable_assignment", "variable_assignments", "function_definition"):
            self._draft.note(self._line(node), "dropped", text, "comes behind the launch")
            return
        self._kept.append((self._line(node), "# behind the launch: " + text.replace("\n", "\n# "),
                           node))  # fmt: skip
        why = "comes behind the launch, for which a job file has no place: see template:"
        self._draft.note(self._line(node), "kept", text, why)

    def _place(self, node: Node, shell: Shell) -> None:
        kind = node.type
        if kind == "comment":
            return
        if kind in ("variable_assignment", "variable_assignments"):
            self._hold(node, shell)
        elif kind == "declaration_command" and self._text(node).startswith("export"):
            self._export(node, shell)
        elif (found := named(self._resolved(node), self._draft, is_open=self._is_open)) is None:
            self._keep(node)
        elif found == HOOK:
            self._hooks.append(node)
        elif found:
            self._draft.note(self._line(node), "moved", self._text(node), found)

    def _hold(self, node: Node, shell: Shell) -> None:
        """An assignment: kept if something in setup, or the program, reads it."""
        self._held[node.id] = (node, self._assignments(node, shell))
        self._kept.append((self._line(node), self._text(node), node))

    def _export(self, node: Node, shell: Shell) -> None:
        found = self._assignments(node, shell)
        names = [a.name for a in found]
        if found and all(_MEETING.match(n) or reserved(n) for n in names):
            self._hold(node, shell)
        elif found and all(is_plain(one, shell) for one in found):
            for one in found:
                export(one, self._draft, self._values, self._line(node))
        elif not found or set(names) <= self._origin.names:  # `export NAME`; a part of the launch
            self._hold(node, shell)
        else:
            self._keep(node)

    def _resolved(self, node: Node) -> str:
        """Return a statement on one line; of a command with the variables that are known."""
        command = next(self._commands(node), None) if node.type == "command" else None
        if command is not None and command.node.id == node.id:
            known = [resolve(w, command.order, command.context) for w in command.words]
            if known and all(word is not None and " " not in word for word in known):
                return " ".join(word for word in known if word is not None)
        return " ".join(self._text(node).split())

    def _keep(self, node: Node) -> None:
        text = self._text(node)
        names = {command.name for command in self._commands(node)}
        if node.type != "function_definition" and not names <= set(HARMLESS):
            self._is_open = False
        self._kept.append((self._line(node), text, node))

    def _write(self) -> None:
        """Keep of the assignments what is read further down, then write setup."""
        draft = self._draft
        for node in reversed(self._hooks):
            if draft.get("environment", "conda"):
                draft.note(self._line(node), "moved", self._text(node), HOOK)
            else:
                self._kept.insert(0, (self._line(node), self._text(node), node))
        needed = set(draft.needed)
        kept: list[tuple[int, str]] = []
        for line, text, node in reversed(self._kept):
            if node.id in self._held:
                names = [a.name for a in self._held[node.id][1]] or re.findall(r"\w+", text)[1:]
                if not needed & set(names):
                    why = "slurmkit works it out" if any(_MEETING.match(n) for n in names) \
                        else "its value stands where it was read, or nothing reads it"  # fmt: skip
                    draft.note(line, "dropped", text, why)
                    continue
            elif self._says_only(node, needed) or self._is_uncalled(node, kept):
                continue
            needed |= set(_reads(text))
            kept.append((line, text))
        lines: list[str] = []
        for line, text in reversed(kept):
            if not text.startswith("# "):
                draft.note(line, "kept", text, "goes into environment.setup as it stands")
            lines.append(text)
        exported = sorted(draft.needed)
        if exported:
            lines.append("export " + " ".join(exported))
        lines += draft.helpers
        draft.setup = self._guarded(lines)

    def _says_only(self, node: Node, needed: set[str]) -> bool:
        """Drop what only prints something that is slurmkit's now."""
        text = self._text(node)
        names = {command.name for command in self._commands(node)}
        if not names or not names <= {"echo", "printf"} or ">" in text:
            return False
        held = {a.name for _, found in self._held.values() for a in found} - needed
        gone = {name for name in held if _MEETING.match(name) or name in self._origin.names}
        if gone & set(_reads(text)):
            why = "prints what slurmkit works out, and prints itself"
            self._draft.note(self._line(node), "dropped", text, why)
            return True
        return False

    def _is_uncalled(self, node: Node, kept: list[tuple[int, str]]) -> bool:
        """Drop a function that nothing further down calls any more."""
        name = node.child_by_field_name("name")
        if node.type != "function_definition" or name is None:
            return False
        called = (name.text or b"").decode()
        if any(re.search(rf"(?<![\w-]){re.escape(called)}(?![\w-])", text) for _, text in kept):
            return False
        self._draft.note(self._line(node), "dropped", self._text(node), "nothing calls it any more")
        return True

    def _guarded(self, lines: list[str]) -> list[str]:
        """Where the script went on after a failure, its lines in setup go on too."""
        source = self._job.script.source.data
        runs = [text for text in lines if not re.match(r"(export\s+)?\w+=|#|export ", text)]
        if not runs or re.search(rb"^\s*set\s+-\w*e|^\s*set\s+-o\s+errexit", source, re.M):
            return lines
        first = self._job.script.source.line_text(1)
        if re.match(r"#!\S+.*\s-\w*e", first):
            return lines
        return ["set +e # the script went on after a failure", *lines, "set -e"]

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
            if a.node is not None
            and node.start_byte <= a.node.start_byte and a.node.end_byte <= node.end_byte
        ]  # fmt: skip

    def _text(self, node: Node) -> str:
        data = self._job.script.source.data[node.start_byte : node.end_byte]
        return data.decode(errors="replace").strip()

    def _line(self, node: Node) -> int:
        return self._job.script.source.place(node.start_byte)[0]


def _statements(root: Node | None) -> Iterator[Node]:
    """Yield the statements at the top; those in a `{ … }` around everything as well."""
    for node in root.children if root is not None else ():
        if node.type == "compound_statement":
            yield from _statements(node)
        elif node.is_named and node.type != "comment":
            yield node


def _reads(text: str) -> list[str]:
    return re.findall(r"\$\{?[!#]?([A-Za-z_]\w*)", text) + re.findall(r"\b([A-Za-z_]\w*)\[", text)
