"""Options of sbatch and srun as getopt_long reads them, in a directive or on a command line.

Source: src/common/slurm_opt.c and src/sbatch/opt.c of Slurm; the table is `slurm/options.tsv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, Literal, TypeVar

from slurmkit.slurm.options import Kind, Tool, load_options

T = TypeVar("T")
_OF_PYXIS = ("container-image", "container-mounts", "container-workdir", "container-name",
             "container-save", "container-env")  # fmt: skip
"""Options of the pyxis plugin that take a value; source: its README."""
_SAME = {"tasks-per-node": "ntasks-per-node", "share": "oversubscribe"}
Problem = Literal["", "unknown", "ambiguous", "no value", "needless value"]


@dataclass(frozen=True)
class Argument(Generic[T]):
    """A word of a command line."""

    text: str
    """What is known of it."""
    origin: T
    """Where it is from."""


@dataclass(frozen=True)
class Given(Generic[T]):
    """An option that was given."""

    name: str
    """Its long name; of an unknown one, what stands there."""
    value: str | None
    origins: tuple[T, ...]
    """The words that it stands in: one, or option and value."""
    written: str
    """How its name was written: `-N`, `--nodes`."""
    problem: Problem = ""
    known_to: tuple[Tool, ...] = ()
    """Of an unknown option: the tools that have it."""


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """A command line, read."""

    options: tuple[Given[T], ...]
    rest: int
    """The index of the first word that is no option."""

    def last(self, name: str) -> Given[T] | None:
        """Return the option that counts: the last of that name."""
        return next((o for o in reversed(self.options) if o.name == name and not o.problem), None)


@cache
def _kinds(tool: Tool) -> dict[str, frozenset[Kind]]:
    """Long names and the kinds of argument that they ever took in a tool."""
    return {
        option.name: frozenset(c.kind for c in option.use(tool).history if c.kind != "removed")
        for option in load_options().values()
        if option.use(tool).history
    }


@cache
def _letters(tool: Tool) -> dict[str, str]:
    return {
        option.short: option.name
        for option in load_options().values()
        if option.short and option.use(tool).history
    }


def parse(tool: Tool, arguments: Sequence[Argument[T]], *, permute: bool = False) -> Parsed[T]:
    """Read the options of a command line, up to the program that it starts.

    Args:
        tool: Whose options.
        arguments: The words behind the tool's name.
        permute: Whether words that are no option are passed over (a directive) or end it (srun).
    """
    found: list[Given[T]] = []
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if word.text == "--":
            at += 1
            break
        if word.text.startswith("--"):
            at = _long(tool, arguments, at, found)
        elif word.text.startswith("-") and len(word.text) > 1:
            at = _short(tool, arguments, at, found)
        elif permute:
            found.append(Given(word.text, None, (word.origin,), word.text, "unknown"))
            at += 1
        else:
            break
    return Parsed(tuple(found), at)


def _long(tool: Tool, arguments: Sequence[Argument[T]], at: int, found: list[Given[T]]) -> int:
    word = arguments[at]
    name, has_value, value = word.text[2:].partition("=")
    kinds = _kinds(tool)
    full = name
    problem: Problem = ""
    if name not in kinds:
        longer = [known for known in kinds if known.startswith(name)] if name else []
        if len(longer) == 1:
            full = longer[0]
        else:
            problem = "ambiguous" if longer else "unknown"
    if problem:
        others = tuple(t for t in ("sbatch", "srun") if name in _kinds(t) and t != tool)
        # Of an unknown option nobody knows whether the next word is its value.
        following = arguments[at + 1 : at + 2]
        takes = name in _OF_PYXIS or any("required" in _kinds(t).get(name, ()) for t in others)
        taken = following if takes and not has_value else []
        said: str | None = value if has_value else None
        origins: tuple[T, ...] = (word.origin,)
        if taken and not taken[0].text.startswith("-"):
            said, origins = taken[0].text, (word.origin, taken[0].origin)
        found.append(Given(name, said, origins, f"--{name}", problem, others))  # type: ignore[arg-type]
        return at + len(origins)
    kind = kinds[full]
    full = _SAME.get(full, full)
    if has_value:
        problem = "needless value" if kind == {"none"} else ""
        found.append(Given(full, value, (word.origin,), f"--{name}", problem))
        return at + 1
    if "required" in kind and "optional" not in kind and "none" not in kind:
        if at + 1 >= len(arguments):
            found.append(Given(full, None, (word.origin,), f"--{name}", "no value"))
            return at + 1
        after = arguments[at + 1]
        found.append(Given(full, after.text, (word.origin, after.origin), f"--{name}"))
        return at + 2
    found.append(Given(full, None, (word.origin,), f"--{name}"))
    return at + 1


def _short(tool: Tool, arguments: Sequence[Argument[T]], at: int, found: list[Given[T]]) -> int:
    word = arguments[at]
    letters, kinds = _letters(tool), _kinds(tool)
    index = 1
    while index < len(word.text):
        letter = word.text[index]
        name = letters.get(letter)
        if name is None:
            others = tuple(t for t in ("sbatch", "srun") if letter in _letters(t) and t != tool)
            found.append(Given(letter, None, (word.origin,), f"-{letter}", "unknown", others))  # type: ignore[arg-type]
            return at + 1
        if "required" in kinds[name]:
            attached = word.text[index + 1 :]
            if attached:
                found.append(Given(name, attached, (word.origin,), f"-{letter}"))
                return at + 1
            if at + 1 >= len(arguments):
                found.append(Given(name, None, (word.origin,), f"-{letter}", "no value"))
                return at + 1
            after = arguments[at + 1]
            found.append(Given(name, after.text, (word.origin, after.origin), f"-{letter}"))
            return at + 2
        attached = word.text[index + 1 :] if "optional" in kinds[name] else ""
        found.append(Given(name, attached or None, (word.origin,), f"-{letter}"))
        if attached:
            return at + 1
        index += 1
    return at + 1
