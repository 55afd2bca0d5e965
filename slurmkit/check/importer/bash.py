"""What bash makes of a word: one, several or none; and texts of the job file as bash reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from slurmkit.check.importer import names
from slurmkit.check.script.shell import Assignment, Shell
from slurmkit.check.script.words import Piece


def in_bash(said: str, lists: Collection[str], *, is_quoted: bool) -> str:
    """Return a part of a word of the job file as a part of a bash command in the job file.

    Args:
        said: The part: a text, or `${env:NAME}`.
        lists: Variables that are arrays there.
        is_quoted: Whether a variable stands in quotes.
    """
    match = re.fullmatch(r"\$\{env:(\w+)(:-[^}]*)?\}", said)
    if match is None:
        text = shlex.quote(said.replace("$${", "${"))
        return (text if text != "''" else "").replace("${", "$${")
    if match[1] in lists:
        return f'"$${{{match[1]}[@]}}"'
    read = f"$${{{match[1]}{match[2] or ''}}}"
    return f'"{read}"' if is_quoted else read


def is_one_word(piece: Piece) -> bool:
    """Tell whether a variable is surely set, and to one word, as far as can be seen."""
    if may_be_unset(piece) or names.MAY_BE_SEVERAL.search(piece.text):
        return False
    at: Shell | None = piece.shell
    while at is not None:
        for one in at.assignments.get(piece.text, ()):
            parts = one.value.pieces if one.value is not None else ()
            is_blank = any(p.kind == "text" and re.search(r"\s", p.text) for p in parts)
            if one.is_known and (not parts or is_blank or _prints_several(parts)):
                return False
            if not one.is_known and _is_read(one):
                return False
        at = at.parent
    return True


def _prints_several(parts: Sequence[Piece]) -> bool:
    return any(p.kind == "substitution" and not names.prints_a_word(p.text) for p in parts)


def _is_read(one: Assignment) -> bool:
    """Tell whether it is `read NAME`: a line, of as many words as it has."""
    return one.node is not None and one.node.type == "command"


def is_defaulted(name: str, shell: Shell) -> bool:
    """Tell whether a variable gets a value where it is read: `: ${NAME:=value}`."""
    at: Shell | None = shell
    while at is not None:
        if re.search(rf"\$\{{{name}:?=".encode(), at.text.data):
            return True
        at = at.parent
    return False


def may_be_unset(piece: Piece) -> bool:
    """Tell whether a variable of the script gets its value in a branch only."""
    at: Shell | None = piece.shell
    while at is not None:
        if any(not one.context.blocks for one in at.assignments.get(piece.text, ())):
            return False
        at = at.parent
    return True


def is_first_node(piece: Piece) -> bool:
    """Tell whether a variable's only value is what names the first node."""
    given = piece.shell.assignments.get(piece.text, ())
    parts = given[0].value.pieces if len(given) == 1 and given[0].value is not None else ()
    is_substitution = len(parts) == 1 and parts[0].kind == "substitution"
    return is_substitution and names.names_head(parts[0].text)
