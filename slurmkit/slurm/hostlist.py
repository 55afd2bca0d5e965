"""Slurm's node lists: `rack[1-2]node[03-10,12]` to names, in the order of scontrol show hostnames.

A name may go on after its last bracket (`node[1-2]-ib`): Slurm 22.05 refuses that, 26.05 takes it.
"""

from __future__ import annotations

from slurmkit.slurm.scalars import GrammarError, is_number, is_word

MAX_NODES = 65536
"""Slurm refuses longer ranges; here it bounds the whole list."""

_LONGEST_NAME = 255
_LONGEST_NUMBER = 18
_EXPECTED = "node names joined by commas, with ranges in brackets: node[01-04,07],login1"


def expand_nodelist(text: str) -> list[str]:
    """The names of a node list, in Slurm's order, duplicates kept.

    The last bracket of a name runs fastest, as one expects; among the others the *first* runs
    fastest: `a[1-2]b[3-4]c[5-6]` begins a1b3c5, a1b3c6, a2b3c5, a2b3c6, a1b4c5.
    """
    names: list[str] = []
    for literals, ranges in _parse(text):
        names += _expand(literals, ranges)
    return names


def count_nodelist(text: str) -> int:
    """How many names a node list has, without writing them out."""
    return sum(_product(ranges) for _, ranges in _parse(text))


def _expand(literals: list[str], ranges: list[list[str]]) -> list[str]:
    if not ranges:
        return literals[:1]
    starts = [literals[0]]
    for numbers, literal in zip(ranges[:-1], literals[1:-1], strict=True):
        starts = [f"{start}{number}{literal}" for number in numbers for start in starts]
    return [f"{start}{number}{literals[-1]}" for start in starts for number in ranges[-1]]


def _parse(text: str) -> list[tuple[list[str], list[list[str]]]]:
    """Each name as its literal parts and, between them, the numbers of its brackets."""
    parsed = []
    total = 0
    for name in _split(text):
        literals, ranges = _parse_name(text, name)
        total += _product(ranges)
        if total > MAX_NODES:
            raise GrammarError(text, f"at most {MAX_NODES} names", "write fewer nodes")
        parsed.append((literals, ranges))
    return parsed


def _split(text: str) -> list[str]:
    """Cut at the commas outside brackets."""
    if "/" in text:
        raise GrammarError(text, _EXPECTED, "write the names, not a file that lists them")
    names, depth, start = [], 0, 0
    for place, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if depth not in (0, 1):
            fix = "write [ and ] in pairs, without one inside the other"
            raise GrammarError(text, _EXPECTED, fix)
        if char == "," and depth == 0:
            names.append(text[start:place])
            start = place + 1
    if depth:
        raise GrammarError(text, _EXPECTED, f"close the bracket: {text[:_LONGEST_NAME]}]")
    names.append(text[start:])
    if not all(names):
        fix = ",".join(filter(None, names)) or "node1,node2"
        raise GrammarError(text, _EXPECTED, f"write {fix[:_LONGEST_NAME]}")
    return names


def _parse_name(text: str, name: str) -> tuple[list[str], list[list[str]]]:
    literals: list[str] = []
    ranges: list[list[str]] = []
    longest, count = 0, 1
    rest = name
    while True:
        literal, bracket, rest = rest.partition("[")
        longest += len(literal)
        if literal and (not is_word(literal, "-_.") or (not literals and literal[0] == "-")):
            fix = f"write {','.join(text.replace(',', ' ').split())[:_LONGEST_NAME]}"
            fix = fix if " " in text else "write letters, digits, -, _ and . only"
            raise GrammarError(text, f"{_EXPECTED}; not {literal[:40]!r}", fix)
        literals.append(literal)
        if not bracket:
            break
        inside, _, rest = rest.partition("]")
        numbers = _numbers(text, inside, MAX_NODES // count)
        ranges.append(numbers)
        count *= len(numbers)
        longest += max(map(len, numbers))
    if longest > _LONGEST_NAME:
        raise GrammarError(text, f"names of at most {_LONGEST_NAME} characters", "shorten the name")
    return literals, ranges


def _numbers(text: str, inside: str, most: int) -> list[str]:
    """The numbers in a bracket as text; a range takes its zero padding from its first number."""
    numbers: list[str] = []
    for part in inside.split(","):
        low, dash, high = part.partition("-")
        high = high if dash else low
        if not (is_number(low) and is_number(high)) or max(len(low), len(high)) > _LONGEST_NUMBER:
            what = f"numbers and ranges such as [1-4,07] in brackets, not {part[:40]!r}"
            raise GrammarError(text, what, "write the low and the high number of each range")
        first, last = int(low), int(high)
        if last < first:
            raise GrammarError(text, f"the low number first in {part!r}", f"write {high}-{low}")
        if len(numbers) + last - first + 1 > most:
            raise GrammarError(text, f"at most {MAX_NODES} names", "write fewer nodes")
        numbers += [str(number).zfill(len(low)) for number in range(first, last + 1)]
    return numbers


def _product(ranges: list[list[str]]) -> int:
    count = 1
    for numbers in ranges:
        count *= len(numbers)
    return count
