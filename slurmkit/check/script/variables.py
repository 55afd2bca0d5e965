"""Follows variables to what the script gives them, where that is plain."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from slurmkit.check.script.arithmetic import calculated
from slurmkit.check.script.words import Piece, Word

if TYPE_CHECKING:
    from slurmkit.check.script.shell import Assignment, Context, Shell

_DEEP = 12
_MOST = 4000  # characters of a value that are followed
_MOST_PIECES = 500  # that are put into a word
_APPENDED = 100  # `NAME+=…` of one variable that are followed
_WHOLE = ("", "[@]", "[*]")
_NONE_KNOWN: Mapping[str, int] = {}


def _order(assignment: Assignment) -> int:
    return assignment.order


def assigned(name: str, shell: Shell, order: int, context: Context | None) -> Assignment | None:
    """Return the assignment that surely holds for a variable at a place; None where none does.

    Args:
        name: The variable.
        shell: The shell that expands it.
        order: When.
        context: What is around the place; None = outside of everything.
    """
    at: Shell | None = shell
    while at is not None:
        given = at.assignments.get(name, [])
        count = bisect_left(given, order, key=_order)
        if count:
            last = given[count - 1]
            blocks = context.blocks if context is not None and at is shell else ()
            if at is not shell:
                blocks = _blocks_below(at, shell)
            if at.takes_branches:  # not what is appended in one, which may be nothing
                before = reversed(given[:count])
                last = next((a for a in before if not (a.is_appended and a.context.blocks)), last)
            sure = at.takes_branches or last.context.blocks == blocks[: len(last.context.blocks)]
            return last if sure and last.is_known else None
        starter = at.starter
        if starter is not None:
            for variable in starter.variables:
                if variable.name == name:
                    return variable
            order = min(order, starter.order)
        at = at.parent
    return None


def _blocks_below(outer: Shell, inner: Shell) -> tuple[int, ...]:
    """Return the blocks of the command in `outer` that leads to `inner`."""
    at: Shell | None = inner
    while at is not None and at.parent is not outer:
        at = at.parent
    return at.starter.context.blocks if at is not None and at.starter is not None else ()


def is_assigned(name: str, shell: Shell) -> bool:
    """Tell whether the script gives a variable any value, in this shell or around it."""
    at: Shell | None = shell
    while at is not None:
        if name in at.assignments:
            return True
        if at.starter is not None and any(v.name == name for v in at.starter.variables):
            return True
        at = at.parent
    return False


def expand(word: Word, order: int, context: Context | None = None) -> list[Word]:
    """Return the words that a word becomes, with the variables put in that are known.

    What is not known stays as a piece, with the shell that expands it.
    """
    found: list[list[Piece]] = [[]]
    for piece in _expanded(word.pieces, order, context, 0, iter(range(_MOST_PIECES))):
        if piece.kind == "text" and not piece.is_quoted and piece.operation == "split":
            parts = re.split(r"[ \t\n]+", piece.text)
            for at, part in enumerate(parts):
                if at:
                    found.append([])
                if part:
                    found[-1].append(replace(piece, text=part, operation=""))
        elif piece.operation == "next":
            found.append([])
        else:
            found[-1].append(piece)
    if len(found) == 1:
        if not found[0] and word.pieces and not any(piece.is_quoted for piece in word.pieces):
            return []  # `$A` of an empty A is no word
        return [Word(tuple(found[0]), word.span)]
    return [Word(tuple(pieces), word.span) for pieces in found if pieces]


def _expanded(
    pieces: Sequence[Piece], order: int, context: Context | None, depth: int, left: Iterator[int]
) -> Iterator[Piece]:
    for piece in pieces:
        is_too_much = depth >= _DEEP or (depth and next(left, None) is None)
        if piece.kind != "variable" or is_too_much:
            yield piece
            continue
        name = "@" if piece.text == "*" and not piece.is_quoted else piece.text
        found = assigned(name, piece.shell, order, context)
        value = _value(found, piece, order, context) if found is not None else None
        if value is None:
            yield piece
            continue
        assert found is not None
        for index, item in enumerate(value):
            if index:
                yield replace(piece, operation="next", kind="text", text="")
            if not item.pieces and found.items is not None and piece.is_quoted:  # an empty element
                yield replace(piece, kind="text", text="", operation="", is_quoted=True)
            inner = _expanded(item.pieces, found.order, found.context, depth + 1, left)
            for part in inner:
                via = part.via or piece
                if part.kind == "text" and not piece.is_quoted:
                    yield replace(part, via=via, is_quoted=False, operation="split")
                elif part.kind == "text":
                    yield replace(part, via=via)
                else:
                    yield replace(part, via=via, is_quoted=piece.is_quoted)


def _value(
    found: Assignment, piece: Piece, order: int, context: Context | None, appended: int = 0
) -> list[Word] | None:
    """Return the words of what was assigned; None where that is not plain."""
    operation = "" if piece.default is not None else piece.operation
    if found.items is not None:
        if found.name == "@" and (part := re.fullmatch(r":(\d{1,9})", operation)):
            return list(found.items[int(part[1]) - 1 :])
        if operation in ("[@]", "[*]") or (found.name == "@" and not operation):
            before = _before(found, piece, order, context, appended)
            return [*before, *found.items] if before is not None else None
        index = re.fullmatch(r"\[(\d{1,9})\]", operation or "[0]")
        if index and int(index[1]) < len(found.items) and not found.is_appended:
            item = found.items[int(index[1])]
            return [item] if item.literal is not None else None
        return None
    if operation not in _WHOLE or found.value is None:
        return None
    words = [found.value]
    if found.is_appended:
        earlier = _before(found, replace(piece, operation=""), order, context, appended)
        if earlier is None or len(earlier) != 1:
            return None
        words = [Word((*earlier[0].pieces, *found.value.pieces), found.value.span)]
    return words if sum(len(p.text) for p in words[0].pieces) < _MOST else None


def _before(
    found: Assignment, piece: Piece, order: int, context: Context | None, appended: int
) -> list[Word] | None:
    """Return the words that `NAME+=…` appends to."""
    if not found.is_appended:
        return []
    before = assigned(found.name, piece.shell, found.order, found.context)
    is_array = found.items is not None
    if before is None or before.order >= order or (before.items is not None) != is_array:
        return None
    if appended >= _APPENDED:
        return None
    return _value(before, piece, before.order + 1, context, appended + 1)


def resolve(
    word: Word | None,
    order: int,
    context: Context | None = None,
    known: Mapping[str, int] = _NONE_KNOWN,
) -> str | None:
    """Return the text that a word becomes; None where it is not known.

    `known` holds numbers that the surroundings give, such as SLURM_JOB_NUM_NODES.
    """
    if word is None:
        return None
    literal = word.literal
    if literal is not None:
        return literal
    words = expand(word, order, context)
    parts = []
    for piece in (piece for word in words for piece in word.pieces):
        if piece.kind == "text":
            parts.append(piece.text)
        elif piece.kind == "arithmetic":
            number = _evaluated(piece, order, context, known)
            if number is None:
                return None
            parts.append(str(number))
        elif piece.kind == "variable" and piece.text in known and _is_given(piece):
            parts.append(str(known[piece.text]))
        elif piece.kind == "variable" and piece.default is not None and _is_plain(piece.default):
            parts.append(piece.default)
        else:
            return None
    return "".join(parts)


def _is_given(piece: Piece) -> bool:
    """Tell whether a variable stands for what the surroundings give it."""
    is_whole = piece.operation in _WHOLE or piece.default is not None
    return is_whole and not is_assigned(piece.text, piece.shell)


def _is_plain(text: str) -> bool:
    return not re.search(r"[$`\"'\\]", text)


def number(
    word: Word | None,
    order: int,
    context: Context | None = None,
    known: Mapping[str, int] = _NONE_KNOWN,
) -> int | None:
    """Return the whole number that a word becomes; None where it is none, or not known."""
    text = resolve(word, order, context, known)
    return int(text) if text is not None and re.fullmatch(r"\d{1,9}", text.strip()) else None


def _evaluated(
    piece: Piece, order: int, context: Context | None, known: Mapping[str, int]
) -> int | None:
    """Work out `$((…))`."""

    def put_in(match: re.Match[str]) -> str:
        name = match[1]
        found = assigned(name, piece.shell, order, context)
        value = None
        if found is not None and found.value is not None:
            value = _given(found, tuple(known.items()))
        elif not is_assigned(name, piece.shell):
            value = known.get(name)
        return str(value) if value is not None else "?"

    try:
        text = re.sub(r"\$?\{?\b([A-Za-z_]\w*)\b(?::-\d+)?\}?", put_in, piece.text)
        return calculated(text)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=1024)  # `C=$((A + B))`, `D=$((B + C))`, … are each worked out once
def _given(found: Assignment, known: tuple[tuple[str, int], ...]) -> int | None:
    return number(found.value, found.order, found.context, dict(known))


def reads(word: Word, order: int, context: Context | None = None) -> list[Piece]:
    """Return the variables that a word comes to in the end, through the assignments that are plain.

    Each with the shell that expands it: so `NODE_RANK=$SLURM_PROCID` in the batch script is known
    for what it is where `$NODE_RANK` stands in a launch.
    """
    found = []
    for expanded in expand(word, order, context):
        for piece in expanded.pieces:
            if piece.kind == "variable":
                found.append(piece)
            elif piece.kind == "arithmetic" and piece.node is not None:
                found += _inside(piece)
    return found


def _inside(piece: Piece) -> list[Piece]:
    names = re.findall(r"\$?\{?\b([A-Za-z_]\w*)\b\}?", piece.text)
    put_in = piece.text_of.placeholders if piece.text_of is not None else ()
    outer = {one.text: one for one in put_in if one.kind == "variable"}
    own = replace(piece, kind="variable", operation="")
    return [outer.get(name) or replace(own, text=name) for name in names]
