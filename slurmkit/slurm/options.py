"""The options of sbatch and srun, Slurm 20.02 to 26.05: which exist, and which a user may set.

`options.tsv` has a row an option. Columns `sbatch` and `srun` hold the argument's history in that
tool: `required` since ever, `24.05 required` since that release, `none; 25.11 optional` changed
then, `required; 24.05 removed` gone then, empty never there. Columns `*_field` hold the job-file
field that sets the option instead (`gpu:FIELD` only when the value asks for GPUs), `*_why` the
reason when there is no field, or one worth saying. Both empty: the user's to set.

The table was compared with the real programs of 20.11, 22.05, 24.11 and 26.05. For three changes
the first release *known* to differ stands in: overlap (22.05), pty and sbatch's resv-ports (24.11).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

from slurmkit.slurm.scalars import GrammarError, parse_version, shown

Tool = Literal["sbatch", "srun"]
Kind = Literal["none", "required", "optional", "removed"]

TOOLS: Final[tuple[Tool, Tool]] = ("sbatch", "srun")
OLDEST: Final = "20.02"
NEWEST: Final = "26.05"

_SECTION: Final = {"sbatch": "sbatch", "srun": "launcher.srun"}
_PYXIS: Final = ("container-", "no-container-")
_COLUMNS: Final = 8


class OptionError(GrammarError):
    """An option that cannot be set like this, with what is expected and what to do instead."""


class Change(NamedTuple):
    """What an option's argument became in a release."""

    since: str
    """The release; empty = in all that the table knows."""
    kind: Kind
    """none (a flag), required, optional (--option[=value]), or removed."""


class Use(NamedTuple):
    """An option in one of the two tools."""

    history: tuple[Change, ...]
    """Oldest first; empty = not an option of this tool."""
    field: str
    """The job-file field that sets it instead; `gpu:` in front = only when it asks for GPUs."""
    why: str
    """Why the user may not set it."""


class Option(NamedTuple):
    """A row of the table."""

    name: str
    """The long name, without dashes."""
    short: str
    """The short letter, or nothing."""
    sbatch: Use
    srun: Use

    def use(self, tool: Tool) -> Use:
        """The option in the tool."""
        return self.sbatch if tool == "sbatch" else self.srun


@cache
def load_options() -> dict[str, Option]:
    """The table by long name, in its order."""
    text = Path(__file__).with_name("options.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines()[1:])
    return {row[0]: _option(row) for row in rows}


def _option(row: list[str]) -> Option:
    if len(row) != _COLUMNS:
        raise ValueError(f"options.tsv, row {row[0]!r}: {len(row)} columns, expected {_COLUMNS}")
    name, short, sbatch, srun, sbatch_field, sbatch_why, srun_field, srun_why = row
    return Option(
        name,
        short,
        Use(_history(sbatch), sbatch_field, sbatch_why),
        Use(_history(srun), srun_field, srun_why),
    )


def _history(cell: str) -> tuple[Change, ...]:
    changes = (part.split() for part in cell.split(";") if part)
    return tuple(
        Change(words[0] if words[1:] else "", cast("Kind", words[-1])) for words in changes
    )


def check_option(
    tool: Tool, name: str, value: str | bool, slurm_version: str | None = None
) -> str | None:
    """The option as one argument (`--switches=1`), not yet quoted for a shell; None when it is off.

    Args:
        tool: The program that the option is for.
        name: The long name, as the user wrote it.
        value: The value as text; true or false for a flag, or to leave out an optional value.
        slurm_version: The cluster's version (`22.05`, `24.11.3`); None checks no version.

    Raises:
        OptionError: The tool has no such option, slurmkit sets it, or the value does not fit.
        GrammarError: `slurm_version` is no version.
    """
    version = parse_version(slurm_version) if slurm_version is not None else None
    use = _look_up(tool, name).use(tool)
    if use.field.startswith("gpu:"):
        if isinstance(value, str) and _asks_for_gpus(value):
            raise _refusal(tool, name, use.field.removeprefix("gpu:"), use.why)
    elif use.field or use.why:
        raise _refusal(tool, name, use.field, use.why)
    kinds = _kinds(tool, name, use.history, version, slurm_version)
    return _written(tool, name, value, kinds)


def _look_up(tool: Tool, name: str) -> Option:
    option = load_options().get(name)
    if option is None:
        raise _unknown(tool, name)
    if option.use(tool).history:
        return option
    other: Tool = "srun" if tool == "sbatch" else "sbatch"
    theirs = option.use(other)
    if not theirs.history:
        raise OptionError(name, f"an option of {tool}", "leave it out: only salloc has it")
    if not (theirs.field or theirs.why):
        fix = f"write {_SECTION[other]}.{name}: it is an option of {other}"
    elif theirs.field:
        fix = f"set {theirs.field} instead: it is an option of {other}"
    else:
        fix = f"leave it out: it is an option of {other}, and {theirs.why}"
    raise OptionError(name, f"an option of {tool}", fix)


def _unknown(tool: Tool, name: str) -> OptionError:
    expected = f"the long name of an option of {tool}"
    bare = name.lstrip("-").replace("_", "-").lower()
    options = load_options()
    by_letter = [
        option
        for option in options.values()
        if option.short == name.lstrip("-") != "" and option.use(tool).history
    ]
    known = by_letter[0] if by_letter else options.get(bare)
    if known is not None:
        use = known.use(tool)
        if use.field and not use.field.startswith("gpu:"):
            return OptionError(name, expected, f"set {use.field}")
        fix = f"leave it out: {use.why}" if use.why else f"write {known.name}"
        return OptionError(name, expected, fix)
    if bare.startswith(_PYXIS):
        return OptionError(name, expected, "set the container field: slurmkit writes its options")
    import difflib

    ours = [option.name for option in options.values() if option.use(tool).history]
    near = difflib.get_close_matches(bare[:40], ours, 1)
    page = f"https://slurm.schedmd.com/{tool}.html"
    return OptionError(name, expected, f"did you mean {near[0]}?" if near else f"see {page}")


def _refusal(tool: Tool, name: str, field: str, why: str) -> OptionError:
    fix = f"set {field} instead" if field else f"leave {name} out"
    return OptionError(
        name, f"an option of {tool} that is yours to set", f"{fix}: {why}" if why else fix
    )


def _asks_for_gpus(value: str) -> bool:
    for part in value.lower().split(","):
        name = part.strip().removeprefix("gres/").removeprefix("gres:")
        if name.replace("=", ":").partition(":")[0] == "gpu":
            return True
    return False


def _kinds(
    tool: Tool,
    name: str,
    history: tuple[Change, ...],
    version: tuple[int, int] | None,
    slurm_version: str | None,
) -> set[Kind]:
    """The argument kinds that the version takes; without a version, all there ever were."""
    if version is None:
        return {change.kind for change in history} - {"removed"}
    past = [c for c in history if not c.since or parse_version(c.since) <= version]
    says = f"the cluster's slurm_version is {slurm_version}"
    if not past:
        fix = f"leave it out: it came with Slurm {history[0].since}, and {says}"
        raise OptionError(name, f"an option that this {tool} has", fix)
    if past[-1].kind == "removed":
        fix = f"leave it out: it was removed in Slurm {past[-1].since}, and {says}"
        raise OptionError(name, f"an option that this {tool} has", fix)
    return {past[-1].kind}


def _written(tool: Tool, name: str, value: str | bool, kinds: set[Kind]) -> str | None:
    if isinstance(value, str) and any(char in value for char in "\n\r\0"):
        raise OptionError(
            name, f"a value on one line, not {shown(value)}", "take out the line break or NUL"
        )
    where = f"{_SECTION[tool]}.{name}"
    if value is False:
        return None
    if kinds == {"required"}:
        if value is True or not value:
            raise OptionError(name, "a value", f"write {where}: VALUE")
        return f"--{name}={value}"
    switch = str(value).lower()
    if switch in ("true", "false"):
        return f"--{name}" if switch == "true" else None
    if kinds == {"none"}:
        fix = f"write {where}: true"
        raise OptionError(name, f"true or false (it takes no value), not {shown(str(value))}", fix)
    if not value:
        raise OptionError(name, "a value or true", f"write {where}: true")
    return f"--{name}={value}"
