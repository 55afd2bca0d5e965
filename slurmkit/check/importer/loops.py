"""A loop around the launch: over the nodes, or over values that become a sweep."""

from __future__ import annotations

import re
from collections.abc import Collection

from slurmkit.check.importer.draft import Draft, Kind
from slurmkit.check.importer.names import read_in
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.read import Script
from slurmkit.check.script.shell import Command, Loop
from slurmkit.check.script.variables import expand, reads, resolve
from slurmkit.check.script.words import Word

_SEQ = re.compile(r"seq(?: -w)?((?: \"?-?\d{1,9}\"?){1,3})")
_BRACES = re.compile(r"\{(-?\d{1,9})\.\.(-?\d{1,9})\}")
_COUNTED = re.compile(
    r"\W*(\w+)\s*=\s*(\d{1,9})\s*;\s*\1\s*(<=?)\s*(\d{1,9})\s*;\s*(?:\+\+\1|\1\+\+)\W*"
)
_MOST = 1000  # array tasks


_OVER_NODES = re.compile(r"node|host|slurm|rank|proc|gpu|machine|worker|\bip", re.IGNORECASE)
_ON_A_NODE = re.compile(
    r"srun\b.*\s(-w|-r|--nodelist|--relative)\b|\b(ssh|pdsh|clush)\b|(node|machine).?rank",
    re.IGNORECASE,
)


def what_is_around(kind: str, text: str, swept: Collection[str]) -> tuple[Kind, str] | None:
    """Return what to tell of a condition or a loop around the launch: None of one that is a sweep.

    Args:
        kind: Its node's type.
        text: How it reads.
        swept: The variables of loops that are sweeps.
    """
    first = text.partition("\n")[0]
    if kind in ("if_statement", "case_statement"):
        return "changed", "a condition around the launch: slurmkit starts it whatever it is"
    if any(re.match(rf"for\b\W*{name}\b", first) for name in swept):
        return None
    if _OVER_NODES.search(first) or _ON_A_NODE.search(text):
        why = "a loop over the nodes around the launch: slurmkit starts it once, on all nodes"
        return "moved", why
    return "changed", "a loop around the launch: slurmkit starts it once, on all nodes"


def read_loops(launch: Launch, script: Script, draft: Draft) -> None:
    """`for seed in 1 2 3`: the values become a sweep, a task of a job array each."""
    read = _read(launch)
    for command, _ in around(script, launch.command):
        for one in command.variables:
            if one.value is not None:
                read |= {piece.text for piece in one.value.variables}
        for loop in command.context.loops:
            line = script.source.place(command.shell.text.span(loop.node.start_byte, 0).start)[0]
            counted = _COUNTED.search(loop.header)
            name = counted[1] if counted else loop.variable
            if name in draft.swept:
                continue
            values = _values(loop, command)
            if name not in read and (values is None or not _is_read_before(name, loop, command)):
                continue
            draft.swept.add(name)
            if values is None:
                why = f"runs once, with {name} of your choice: write a sweep of its values"
                draft.note(line, "changed", f"a loop over {name}", why)
                continue
            draft.put("sweep", f"environment.variables.{name}", values)
            draft.set("environment", "variables", name, values[0])
            why = "as a sweep each value is a task of a job array"
            draft.note(line, "changed", f"a loop over {name}", why)


def _read(launch: Launch) -> set[str]:
    """Return the variables that the program and its words come to."""
    words = [*((launch.program,) if launch.program is not None else ()), *launch.arguments]
    found = {piece.text for word in words for piece in word.variables}
    command = launch.command
    for word in words:
        found |= {piece.text for piece in reads(word, command.order, command.context)}
    return found


def _is_read_before(name: str, loop: Loop, command: Command) -> bool:
    """Tell whether the loop's body reads its variable for something else than to start."""
    own = {piece.text for word in command.words for piece in word.variables}
    body = loop.node.child_by_field_name("body")
    if body is None or name in own:
        return False
    before = command.shell.text.data[body.start_byte : command.node.start_byte]
    return name in read_in(
        re.sub(r"(?m)^\s*(echo|printf)\b.*", "", before.decode(errors="replace"))
    )


def _values(loop: Loop, command: Command) -> list[str] | None:
    """Return what a loop goes over; None where that is not known."""
    if loop.kind == "c-style" and (counted := _COUNTED.search(loop.header)):
        last = int(counted[4]) + (counted[3] == "<=")
        return _numbers(int(counted[2]), last - 1, 1)
    found: list[str] = []
    for word in loop.words:
        values = _of_word(word, command)
        if values is None:
            return None
        found += values
    return found if 0 < len(found) <= _MOST else None


def _of_word(word: Word, command: Command) -> list[str] | None:
    if len(word.pieces) == 1 and word.pieces[0].kind == "substitution":
        match = _SEQ.fullmatch(" ".join(word.pieces[0].text.split()))
        if match is None:
            return None
        ends = [int(number.strip('"')) for number in match[1].split()]
        first, step = ends[0] if len(ends) > 1 else 1, ends[1] if len(ends) > 2 else 1
        return _numbers(first, ends[-1], step)
    found: list[str] = []
    for part in expand(word, command.order, command.context):
        text = resolve(part, command.order, command.context)
        if text is None or (re.search(r"[*?]", text) and not part.is_quoted):
            return None
        braces = _BRACES.fullmatch(text)
        if braces and not part.is_quoted:
            first, last = int(braces[1]), int(braces[2])
            found += _numbers(first, last, 1 if first <= last else -1) or []
        else:
            found.append(text)
    return found


def _numbers(first: int, last: int, step: int) -> list[str] | None:
    if step == 0 or abs(last - first) > _MOST * abs(step):
        return None
    return [str(number) for number in range(first, last + (1 if step > 0 else -1), step)] or None
