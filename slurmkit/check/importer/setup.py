"""What stays in environment.setup of the statements that have no field of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from slurmkit.check.importer import names
from slurmkit.check.importer.draft import Draft, Kept
from slurmkit.check.importer.programs import programs
from slurmkit.check.script.shell import Command
from slurmkit.spec.reserved import reserved

if TYPE_CHECKING:
    from tree_sitter import Node

GOES_ON = "set +e # the script went on after a failure"
_SAFE_TEXT = re.compile(
    r"mkdir -p .*|conda (de)?activate\b.*|(?:source|\.)\s+\S*(bin/activate|/conda\.sh|/etc/profile)"
    r"[\"']?(\s+\S+)?|eval \"?\$\(\S*conda shell\.\S+ hook.*"
)
_PLAIN_NODES = (
    "command", "variable_assignment", "variable_assignments", "declaration_command", "list",
    "if_statement", "for_statement", "case_statement", "function_definition", "pipeline",
    "redirected_statement", "unset_command",
)  # fmt: skip
_ARGUMENT = re.compile(r"(?:export )?(\w+)=\"?\$\{?(\d)\}?\"?")
_QUOTED_HEREDOC = re.compile(r"<<-?\s*[\"'\\]")
_ARGUMENTS = re.compile(r"(?<!\\)\$(?:[1-9@*#]|\{(?:[1-9@*]|#\}))")
_READS_FILE = re.compile(
    r"^\s*(?:source|\.|eval)\s(?!.*(?:/activate|conda|/etc/profile|hook))", re.M
)


@dataclass(frozen=True, eq=False)
class Entry:
    """A statement that may go into setup."""

    line: int
    text: str
    node: Node
    commands: tuple[Command, ...]
    sets: tuple[str, ...] | None = None
    """Of one that is there only for the variables that it sets: which."""
    stops: bool = False
    """Whether its failure would have ended the script."""
    is_behind: bool = False
    """Whether it comes behind the launch."""
    fields: tuple[str, ...] = ()
    """Of exports that are in environment.variables: which."""

    @property
    def last_line(self) -> int:
        """The line on which it ends."""
        return self.line + self.text.count("\n")

    @property
    def is_risky(self) -> bool:
        """Whether its failure is to be thought of."""
        if _SAFE_TEXT.fullmatch(self.text) or self.node.type == "function_definition":
            return False
        if self.node.type not in _PLAIN_NODES:
            return True
        safe = programs("safe")
        return any(
            c.name not in safe and not c.context.is_guarded
            for c in self.commands
            if not c.context.in_substitution or "assignment" in self.node.type
        )


def finish(entries: Sequence[Entry], draft: Draft, read: Iterable[str], name: str) -> None:
    """Write setup: of what only sets variables, what is read further down; the rest as it stands.

    Args:
        entries: The statements, in their order.
        draft: The job file in the making.
        read: The variables that the launch's words are made of.
        name: The script's name, for comments.
    """
    kept = _pruned(entries, draft, set(read))
    for entry in kept:
        if not entry.is_behind:
            draft.note(entry.line, "kept", entry.text, "")
            _tell_of_arguments(entry, draft)
    lines = list(_lines(kept, name))
    exported = set(draft.exported)
    if any(_READS_FILE.search(entry.text) for entry in kept):
        exported |= draft.foreign
    done = " ".join(entry.text for entry in kept if entry.text.startswith("export "))
    missing = sorted(n for n in exported if not re.search(rf"(?<!\S){n}(?=[=\s]|$)", done))
    if missing:
        lines.append(Kept("export " + " ".join(missing), "read on the nodes"))
    lines += [Kept(helper, "worked out here for the arguments" if not at else "")
              for at, helper in enumerate(draft.helpers)]  # fmt: skip
    draft.setup = lines


def _pruned(entries: Sequence[Entry], draft: Draft, read: set[str]) -> list[Entry]:
    needed = set(draft.needed)
    kept: list[Entry] = []
    held = {name for entry in entries for name in entry.sets or ()}
    for entry in reversed(entries):
        if entry.fields:
            if not needed & set(entry.fields) or not _take_back(entry, draft):
                continue
        elif entry.sets is not None:
            if argument := _ARGUMENT.fullmatch(entry.text):
                why = f"an argument of sbatch's: set {argument[1]} under environment.variables"
                if argument[1] in needed:
                    draft.note(entry.line, "changed", f"${argument[2]}", why)
                continue
            if not needed & set(entry.sets):
                draft.note(entry.line, "dropped", names.shown(entry.sets), _why(entry.sets))
                continue
        elif _says_only(entry, held - needed, read) or _is_uncalled(entry, kept):
            why = "prints what slurmkit works out"
            if entry.node.type == "function_definition":
                why = "nothing calls it any more"
            draft.note(entry.line, "dropped", entry.text.splitlines()[0], why)
            continue
        if not entry.is_behind:
            needed |= set(names.read_in(entry.text))
            if entry.text.startswith("export "):
                needed |= set(re.findall(r"[A-Za-z_]\w*", entry.text))
        kept.append(entry)
    return kept[::-1]


def _take_back(entry: Entry, draft: Draft) -> bool:
    """A variable that setup reads is exported there, where it is worked out on the nodes else."""
    variables = draft.get("environment", "variables") or {}
    if not any("${env:" in str(variables.get(name, "")) for name in entry.fields):
        return False
    for name in entry.fields:
        variables.pop(name, None)
    if not variables:
        draft.fields["environment"].pop("variables", None)
        if not draft.fields["environment"]:
            del draft.fields["environment"]
    return True


def _why(sets: Sequence[str]) -> str:
    for name in sets:
        if name.startswith(("SLURM_", "SRUN_")):
            return "slurmkit writes its own srun line, with the CPUs of a task"
        if reserved(name) or names.STARTING.match(name):
            return "slurmkit works it out"
    return "its value stands where it was read, or nothing reads it"


def _says_only(entry: Entry, gone: set[str], read: set[str]) -> bool:
    """Tell whether it only prints something that is slurmkit's now."""
    said = {command.name for command in entry.commands}
    if not said or not said <= {"echo", "printf"} or ">" in entry.text:
        return False
    gone = {name for name in gone if names.STARTING.match(name) or name in read}
    return bool(gone & set(names.read_in(entry.text)))


def _is_uncalled(entry: Entry, kept: Sequence[Entry]) -> bool:
    """Tell whether it is a function that nothing further down calls any more."""
    name = entry.node.child_by_field_name("name")
    if entry.node.type != "function_definition" or name is None:
        return False
    called = re.escape((name.text or b"").decode(errors="replace"))
    return not any(re.search(rf"(?<![\w-]){called}(?![\w-])", other.text) for other in kept)


def _tell_of_arguments(entry: Entry, draft: Draft) -> None:
    is_as_it_is = _QUOTED_HEREDOC.search(entry.text) is not None
    text = re.sub(r"'[^']*'", "", entry.text.partition("\n")[0] if is_as_it_is else entry.text)
    if entry.node.type != "function_definition" and _ARGUMENTS.search(text):
        why = "reads sbatch's own arguments: put a line `set -- WORDS` first into setup"
        draft.note(entry.line, "changed", entry.text.splitlines()[0], why)


def _lines(kept: Sequence[Entry], name: str) -> Iterator[Kept]:
    """Yield the lines; those that may fail run as they did, with `set -e` or without."""
    is_on = True
    comments = _comments([entry for entry in kept if not entry.is_behind], name)
    for entry in kept:
        if entry.is_behind:
            continue
        if entry.is_risky and entry.stops != is_on:
            is_on = entry.stops
            yield Kept("set -e" if is_on else GOES_ON)
        yield Kept(entry.text, comments.get(entry, ""))
    if not is_on:
        yield Kept("set -e")
    for entry in kept:
        if entry.is_behind:
            why = f"line {entry.line}: came behind the launch; a template has a place for it"
            yield Kept("# " + entry.text.replace("\n", "\n# "), why)


def _comments(kept: Sequence[Entry], name: str) -> dict[Entry, str]:
    """Say where lines are from, once for lines that stand together."""
    found: dict[Entry, str] = {}
    groups: list[list[Entry]] = [[entry] for entry in kept[:1]]
    for before, entry in pairwise(kept):
        if before.line <= entry.line <= before.last_line + 1:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    for group in groups:
        first, last = group[0].line, group[-1].last_line
        found[group[0]] = f"line {first}" if first == last else f"lines {first}-{last}"
        found[group[0]] += f" of {name}"
    return found
