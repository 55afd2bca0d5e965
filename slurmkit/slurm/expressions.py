"""Slurm's expressions: job dependencies, array indices and node constraints.

slurmctld checks these, after submission and in a word ("Job dependency problem"); here they are
checked before, with the place and the fix.
"""

from __future__ import annotations

from typing import NamedTuple

from slurmkit.slurm.scalars import GrammarError, is_number

DEPENDENCY_KINDS = (
    "after",
    "afterany",
    "afterburstbuffer",
    "aftercorr",
    "afternotok",
    "afterok",
    "expand",
    "singleton",
)
MAX_ARRAY_SIZE = 1001
"""Slurm's default for MaxArraySize: the highest index is one less."""

_DEPENDENCY_FORMS = "conditions such as afterok:123:124,after:125+10 or singleton"
_ARRAY_FORMS = "indices such as 0-15, 0-15:4, 1,3,5-7 or 0-15%4 (at most four tasks at a time)"
_CONSTRAINT_FORMS = "features joined by & or |, such as a100&(ib|roce), [rack1|rack2] or [a*2&b*1]"
_MAX_JOB_ID = 2**32 - 1
_FEATURE_ENDS = "&|*[](),"


class Dependency(NamedTuple):
    """One condition of --dependency."""

    kind: str
    """One of DEPENDENCY_KINDS."""
    jobs: tuple[str, ...]
    """The job ids as written (`123`, `123_4`, `123_*`, `123+10`); empty for singleton."""


class ArrayIndices(NamedTuple):
    """What --array asks for."""

    indices: tuple[int, ...]
    """The array tasks' indices, ascending, each once."""
    limit: int | None
    """How many may run at a time; None is all of them."""


def check_dependency(text: str) -> tuple[Dependency, ...]:
    """Read the value of --dependency; `,` means all conditions, `?` any of them, never both."""
    if "," in text and "?" in text:
        raise GrammarError(
            text, "all conditions (joined by ,) or any of them (joined by ?)", "use one of , and ?"
        )
    return tuple(_condition(text, part) for part in text.replace("?", ",").split(","))


def _condition(text: str, part: str) -> Dependency:
    kind, colon, rest = part.partition(":")
    kind = kind.lower()
    if kind not in DEPENDENCY_KINDS:
        raise GrammarError(text, _DEPENDENCY_FORMS, _condition_fix(part, kind))
    if kind == "singleton":
        if colon:
            raise GrammarError(text, "singleton without job ids", "write singleton")
        return Dependency(kind, ())
    jobs = tuple(rest.split(":"))
    for job in jobs:
        _check_job(text, kind, job)
    return Dependency(kind, jobs)


def _condition_fix(part: str, kind: str) -> str:
    if is_number(part):
        return f"write afterany:{part[:20]}"
    if kind.strip() in DEPENDENCY_KINDS:
        return "leave out the blanks"
    import difflib

    near = difflib.get_close_matches(kind[:40], DEPENDENCY_KINDS, 1)
    return f"write {near[0]}" if near else f"use one of {', '.join(DEPENDENCY_KINDS)}"


def _check_job(text: str, kind: str, job: str) -> None:
    number, plus, minutes = job.partition("+")
    number, underscore, task = number.partition("_")
    if not is_number(number) or not 0 < int(number[:18]) <= _MAX_JOB_ID:
        fix = f"write {kind}:JOBID, with ids from `squeue --me`"
        raise GrammarError(text, f"job ids after {kind}:, not {job[:40]!r}", fix)
    if underscore and task != "*" and not is_number(task):
        fix = f"write {number[:18]}_4 for one array task or {number[:18]} for all of them"
        raise GrammarError(text, f"one array task in {job[:40]!r}", fix)
    if plus and (kind != "after" or not is_number(minutes)):
        raise GrammarError(
            text, "minutes of delay (+5) only with after:", f"write after:{number[:18]}+5"
        )


def check_array(text: str, max_size: int = MAX_ARRAY_SIZE) -> ArrayIndices:
    """Read the value of --array; `max_size` is the cluster's MaxArraySize."""
    body, percent, limit = text.partition("%")
    if percent and (not is_number(limit) or int(limit[:18]) < 1):
        raise GrammarError(text, "how many may run at a time after %", "write for example %4")
    indices: set[int] = set()
    listed = 0
    for part in body.split(","):
        found = _indices(text, part, max_size)
        listed += len(found)
        if listed > 4 * max_size:
            raise GrammarError(text, "each index once", "leave out what is listed again and again")
        indices.update(found)
    return ArrayIndices(tuple(sorted(indices)), int(limit[:18]) if percent else None)


def _indices(text: str, part: str, max_size: int) -> range:
    span, colon, step = part.partition(":")
    first, dash, last = span.partition("-")
    numbers = (first, *([last] if dash else []), *([step] if colon else []))
    if not all(is_number(number) and len(number) <= 18 for number in numbers):
        fix = "write for example 0-15 (no brackets, no blanks)"
        raise GrammarError(text, f"{_ARRAY_FORMS}; not {part[:40]!r}", fix)
    low, high = int(first), int(last or first)
    if colon and (not dash or not 0 < int(step) < max_size):
        fix = f"write for example {low}-{max(high, low + 15)}:4"
        raise GrammarError(text, "a step of one or more, after a range", fix)
    if high < low:
        raise GrammarError(text, f"the low index first in {part!r}", f"write {high}-{low}")
    if high >= max_size:
        expected = f"indices below {max_size} (the cluster's MaxArraySize)"
        raise GrammarError(text, expected, f"number the tasks from 0 to {max_size - 1} at most")
    return range(low, high + 1, int(step) if colon else 1)


def check_constraint(text: str) -> tuple[str, ...]:
    """Check a --constraint expression as far as text tells; the features it names, in order.

    One pair of brackets at most, no parentheses inside parentheses. A count (`gpu*4`) beside
    another feature needs brackets, and inside brackets `&` needs a count on both sides.
    """
    reader = _ConstraintReader(text)
    reader.read()
    return tuple(reader.features)


class _ConstraintReader:
    """Reads an expression from left to right, once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.features: list[str] = []
        self.bracketed = False

    def read(self) -> None:
        uncounted, counted = self._items("")
        if counted and uncounted + counted > 1:
            fix = "write for example [a*2&b*1]" if uncounted else f"write [{self.text[:60]}]"
            raise self._error("brackets round counts of several features", fix)

    def _items(self, closer: str) -> tuple[int, int]:
        """Read items up to the closer; how many have no count, and how many have one."""
        uncounted = counted = 0
        ands = False
        while True:
            if self._item(closer):
                counted += 1
            else:
                uncounted += 1
            char = self._next()
            if char == closer:
                break
            if not char or char not in "&|":
                raise self._misplaced(char, closer)
            ands = ands or char == "&"
        if closer == "]" and ands and uncounted:
            raise self._error("a count at every feature of [..&..]", "write for example [a*2&b*1]")
        return uncounted, counted

    def _item(self, inside: str) -> bool:
        """Read one feature, group or bracket; whether it has a count."""
        char = self._peek()
        if char == "[" and not inside:
            if self.bracketed:
                raise self._error("one pair of brackets", "use parentheses for the other groups")
            self.bracketed = True
            self.at += 1
            self._items("]")
            return False
        if char == "(" and inside != ")":
            self.at += 1
            self._items(")")
        else:
            self._feature(inside)
        return self._count(inside)

    def _feature(self, inside: str) -> None:
        start = self.at
        while (char := self._peek()) and char not in _FEATURE_ENDS:
            if not (char.isascii() and char.isprintable()) or char in " !\"'\\":
                fix = "write the names as `sinfo -o %f` prints them, without blanks, quotes or !"
                raise self._error(f"a feature name, not {char!r}", fix)
            self.at += 1
        if self.at == start:
            raise self._misplaced(self._peek(), inside)
        self.features.append(self.text[start : self.at])

    def _count(self, inside: str) -> bool:
        if self._peek() != "*":
            return False
        start = self.at = self.at + 1
        while is_number(self._peek()):
            self.at += 1
        number = self.text[start : self.at]
        if not number.strip("0") or len(number) > 9:
            raise self._error("a number of nodes after *", "write for example gpu*4")
        if inside == ")":
            raise self._error("counts outside parentheses", "write for example (a&b)*2")
        return True

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _next(self) -> str:
        char = self._peek()
        self.at += len(char)
        return char

    def _misplaced(self, char: str, closer: str) -> GrammarError:
        if char == ",":
            return self._error("features joined by & or |", "write & (both) or | (either) for ,")
        if not char and closer:
            return self._error(f"a {closer} at the end", f"close the group with {closer}")
        what = f"not {char!r} here" if char else "a feature at the end"
        return self._error(what, "write a feature on both sides of & and |")

    def _error(self, expected: str, fix: str) -> GrammarError:
        where = f" (at character {self.at + 1})" if self.at else ""
        return GrammarError(self.text, f"{_CONSTRAINT_FORMS}: {expected}{where}", fix)
