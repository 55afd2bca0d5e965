"""Names of environment variables that torch, NCCL and their like read.

`names.tsv` has a row a name: who reads it, the newer name where it is an old one, and the values
that its reader knows where these are few. Sources: the strings of NCCL 2.32's library; the
headers, libraries and Python files of torch 2.13 and accelerate 1.15; the list of CUDA's
environment variables in NVIDIA's CUDA programming guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

_PREFIX = re.compile(r"(TORCH|PYTORCH|TORCHELASTIC|NCCL|CUDA|GLOO|ACCELERATE)_")
_TWISTED = re.compile(r"(NCLL|NNCL|NCC|NCCLL|TROCH|TOCH|PTYORCH|PYTROCH|CUAD|GLO|GOO)_[A-Z]")
_LONG = 4  # words of a name, beyond which one of them may have been forgotten
_SHORT = 12  # characters of a name, up to which a single slip counts only


@dataclass(frozen=True, slots=True)
class Name:
    """A row of the table."""

    name: str
    reader: str
    """Who reads it: torch, NCCL, CUDA, …"""
    instead: str
    """The newer name; empty where it is the name."""
    values: tuple[str, ...]
    """What it may be; empty where that is no short list."""


@cache
def names() -> dict[str, Name]:
    """Return the table by name."""
    text = (resources.files(__package__) / "names.tsv").read_text(encoding="utf-8")
    found = {}
    for line in text.splitlines()[1:]:
        name, reader, instead, values = line.split("\t")
        found[name] = Name(name, reader, instead, tuple(values.split()))
    return found


@lru_cache(maxsize=1024)
def meant(name: str, value: str | None) -> tuple[str, str | None] | None:
    """Return the name and value that somebody meant who wrote these; None where nothing is near.

    >>> meant("NCCL_DISABLE_IB", "1")
    ('NCCL_IB_DISABLE', '1')
    >>> meant("TORCH_DISTRIBUTED_DETAIL", "DEBUG")
    ('TORCH_DISTRIBUTED_DEBUG', 'DETAIL')
    """
    if name in names() or not (_PREFIX.match(name) or _TWISTED.match(name)):
        return None
    words = sorted(name.split("_"))
    if (same := _by_words().get(tuple(words))) is not None:
        return same, value
    if len(longer := _by_most_words().get(tuple(words), ())) == 1:
        return longer[0], value
    for row in names().values():
        for known in row.values:
            if sorted([*row.name.split("_"), known]) == sorted([*words, (value or "").upper()]):
                return row.name, known
    if f"TORCH_{name}" in names():
        return f"TORCH_{name}", value
    most = 1 if len(name) <= _SHORT else 2
    near = sorted((_distance(name, known, most), known) for known in _candidates(name, most))
    return (near[0][1], value) if near and near[0][0] <= most else None


@cache
def _by_words() -> dict[tuple[str, ...], str]:
    return {tuple(sorted(name.split("_"))): name for name in names()}


@cache
def _by_most_words() -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the long names by their words without one of them, which is soon forgotten."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name in names():
        words = sorted(name.split("_"))
        for at in range(len(words) if len(words) > _LONG else 0):
            rest = (*words[:at], *words[at + 1 :])
            found[rest] = (*found.get(rest, ()), name)
    return found


def _candidates(name: str, most: int) -> Iterable[str]:
    """Return the names that are about as long and have nearly the same letters."""
    letters = set(name)
    for known, others in _letters().items():
        if abs(len(known) - len(name)) <= most and len(letters ^ others) <= 2 * most:
            yield known


@cache
def _letters() -> dict[str, frozenset[str]]:
    return {name: frozenset(name) for name in names() if "_" in name}


def _distance(one: str, other: str, most: int) -> int:
    """Count the slips between two names, two letters that have changed places being one.

    Stops counting beyond `most`.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return last[-1]
