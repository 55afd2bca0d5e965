"""Which lines may name a cause at all: found at a gigabyte a second, before any pattern is tried.

Lines of a log are alike but for their numbers. Without digits and in lower case ("shapes"), the
thousands of a block become a few, and only those are searched, for a text that each pattern
needs. It is taken out of the patterns themselves.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from slurmkit.check.doctor.cause import Cause

_parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

_LOWER = bytes(range(256)).lower().replace(b"\r", b"\n")
_DROPPED = b"0123456789.+-" + bytes(range(128, 256))
_SHORTEST = 3  # of a needle
_MOST = 100_000  # shapes that are remembered


class NeedleError(ValueError):
    """A pattern has no text that each of its lines must hold."""


def shape(text: bytes) -> bytes:
    """Return text without its digits, in lower case; line breaks stay where they are."""
    return text.translate(_LOWER, _DROPPED)


class Sieve:
    """Knows for each shape of a line which causes are worth trying."""

    def __init__(self, causes: Sequence[Cause]) -> None:
        order = {cause.code: place for place, cause in enumerate(causes)}
        self._order = order
        self._needles: dict[bytes, list[Cause]] = {}
        for cause in causes:
            for pattern in (*cause.patterns, *cause.cleared_by):
                for needle in needles_of(pattern.pattern):
                    of_needle = self._needles.setdefault(needle, [])
                    if cause not in of_needle:
                        of_needle.append(cause)
        self._tokens: dict[bytes, list[bytes]] = {}
        for needle in self._needles:
            longest = max(needle.split(), key=len, default=needle)
            self._tokens.setdefault(longest, []).append(needle)
        self._known: dict[bytes, tuple[Cause, ...]] = {}
        self._words: set[bytes] = set()
        self._telling: dict[bytes, list[bytes]] = {}

    def worth_trying(self, shapes: Iterable[bytes]) -> dict[bytes, tuple[Cause, ...]]:
        """Return the shapes in which a needle was found, with its causes in the table's order."""
        if len(self._known) > _MOST:
            self._known.clear()
        shapes = set(shapes)
        new = shapes.difference(self._known)
        if new:
            self._learn(new)
        known = self._known
        return {one: known[one] for one in shapes if known[one]}

    def _learn(self, new: set[bytes]) -> None:
        self._known.update(dict.fromkeys(new, ()))
        together = b"\n".join(new)
        present = self._present(together)
        if not present:
            return
        for one in new:
            found = {
                cause.code: cause
                for needle in present
                if needle in one
                for cause in self._needles[needle]
            }
            if found:
                self._known[one] = tuple(sorted(found.values(), key=lambda c: self._order[c.code]))

    def _present(self, text: bytes) -> list[bytes]:
        """Return the needles in a text; most are ruled out by its words, few of which are new."""
        if len(self._words) > _MOST:
            self._words.clear()
            self._telling.clear()
        words = set(text.split())
        new = words.difference(self._words)
        self._words |= new
        together = b"\n".join(new)
        for token in self._tokens:
            if token in together:
                for word in new:
                    if token in word:
                        self._telling.setdefault(word, []).append(token)
        tokens = {token for word in self._telling.keys() & words for token in self._telling[word]}
        return [needle for token in tokens for needle in self._tokens[token] if needle in text]


def needles_of(pattern: str) -> list[bytes]:
    """Return shapes of texts of which every text that the pattern fits holds at least one.

    Raises:
        NeedleError: there is none of three characters or more.
    """
    found = _needles(_parser.parse(pattern))
    if found is None:
        raise NeedleError(f"no fixed text in each line that fits {pattern!r}: name one")
    return found


def _needles(parsed: Any) -> list[bytes] | None:
    """Return the best alternatives of a sequence: the one whose shortest is longest."""
    choices: list[list[bytes]] = []
    run = b""

    def end_run() -> None:
        nonlocal run
        if len(run) >= _SHORTEST:
            choices.append([run])
        run = b""

    for name, value in _flat(parsed):
        if name == "LITERAL":
            run += shape(chr(value).encode())
            continue
        if name == "AT":
            continue
        end_run()
        if name == "BRANCH":
            branches = [_needles(branch) for branch in value[1]]
            whole = [branch for branch in branches if branch is not None]
            if len(whole) == len(branches):
                choices.append([needle for branch in whole for needle in branch])
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "SUBPATTERN"):
            inner = value[3] if name == "SUBPATTERN" else value[2] if value[0] else None
            within = _needles(inner) if inner is not None else None
            if within is not None:
                choices.append(within)
    end_run()
    return max(choices, key=lambda choice: (min(map(len, choice)), -len(choice)), default=None)


def _flat(parsed: Any) -> Iterable[tuple[str, Any]]:
    """Give a sequence's parts; groups of nothing but text as that text."""
    for op, value in parsed:
        name = str(op)
        if name == "SUBPATTERN" and all(str(part) == "LITERAL" for part, _ in value[3]):
            yield from ((str(part), code) for part, code in value[3])
        elif name == "IN" and len(value) > 1 and _is_one_letter(value):
            yield "LITERAL", ord(chr(value[0][1]).lower())
        else:
            yield name, value


def _is_one_letter(value: Any) -> bool:
    """Tell whether a class is one letter in both its cases, `[Aa]`."""
    return all(str(op) == "LITERAL" for op, _ in value) and (
        len({chr(code).lower() for _, code in value}) == 1
    )
