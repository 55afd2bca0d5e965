"""SK108 to SK110: options and values of directives, as sbatch takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from slurmkit.check.lint.distance import distance
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule
from slurmkit.check.lint.rules.directive_words import each, long_dash, said
from slurmkit.check.lint.values import MEMORY, right_value
from slurmkit.check.script.directives import Piece
from slurmkit.check.script.options import Given
from slurmkit.check.script.source import Span
from slurmkit.slurm.options import NEWEST, load_options
from slurmkit.slurm.scalars import GrammarError, parse_memory, parse_time, parse_version, whole

_MAIL = frozenset(
    ["NONE", "BEGIN", "END", "FAIL", "REQUEUE", "ALL", "INVALID_DEPEND", "STAGE_OUT", "TIME_LIMIT",
     "TIME_LIMIT_90", "TIME_LIMIT_80", "TIME_LIMIT_50", "ARRAY_TASKS"]
)  # fmt: skip
_UNKNOWN = re.compile(r"[$`{}<>]|\ue000")
"""Values that are filled in later, or wrong in another way."""
_MEANT = {
    "workdir": "chdir", "share": "oversubscribe", "walltime": "time", "queue": "partition",
    "name": "job-name", "email": "mail-user", "memory": "mem", "stdout": "output",
    "stderr": "error", "mem_bind": "mem-bind", "cores-per-node": "cpus-per-task",
}  # fmt: skip
"""Names that sbatch had once, or that other batch systems have."""
_OF_OPTION = (
    'sbatch ends with "unrecognized option" at an option that it does not know. Some options are '
    "srun's only, some are of other versions of Slurm, and dashes are not underscores."
)
_OF_VALUE = "sbatch reads the directives before it takes a script, and ends at a value like this."
_OF_MAIL = "sbatch drops an unknown word in --mail-type without a message, if it knows another one."


def _span(option: Given[Piece]) -> Span:
    first, last = option.origins[0], option.origins[-1]
    is_near = first.line == last.line
    return Span(first.span.start, last.span.end if is_near else first.span.end)


def _known(option: Given[Piece]) -> str | None:
    """Return a value that can be judged."""
    value = option.value
    is_odd = option.problem or value is None or value.startswith("=") or _UNKNOWN.search(value)
    return None if is_odd else value


def _is_parted(job: Job, option: Given[Piece]) -> bool:
    """Tell whether a blank parts an option from its value: `--nodes= 2` is SK107's."""
    data, end = job.script.source.data, option.origins[-1].span.end
    behind = data[end : max(end, data.find(b"\n", end))].lstrip()
    return not option.value and bool(behind) and not behind.startswith((b"-", b"#"))


@rule("SK108")
def misleading_time(job: Job) -> Iterator[Found]:
    """`--time=24:00`, `--time=48`, `--time=2h`."""
    for name in ("time", "time-min"):
        option = job.given(name)
        if option is None or not option.origins[0].is_directive:
            continue
        value = _known(option)
        if value is None or _is_parted(job, option):
            continue
        try:
            parse_time(value)
        except GrammarError as error:
            if value.endswith("-") and value[:-1].isdigit():
                continue  # odd, and a number of days all the same
            what = f"{value or 'an empty value'} is no time limit: sbatch refuses the script"
            fix = f"{error.fix[0].upper()}{error.fix[1:]}."
            yield job.found("SK108", _span(option), what, fix, severity="error")
            continue
        if re.fullmatch(r"\d{1,9}:\d{1,9}", value):
            first, second = value.split(":")
            length = f"{int(first)} minutes" if int(first) else f"{int(second)} seconds"
            what = f"{value} is minutes and seconds: {length}"
            yield job.found("SK108", _span(option), what, _clear(first, second))
        elif re.fullmatch(r"\d{1,2}", value) and int(value):
            what = f"{value} is minutes, not hours"
            fix = f"Write 0:{int(value):02}:00, or {int(value)}:00:00 if hours are meant."
            yield job.found("SK108", _span(option), what, fix, severity="info")


def _clear(first: str, second: str) -> str:
    """Return how `first:second` is written so that nobody misreads it."""
    minutes, seconds = int(first), int(second)
    now = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return f"Write {int(first)}:{second}:00 for hours and minutes, or {now} for what it is now."


@rule("SK109")
def unknown(job: Job) -> Iterator[Found]:
    """An option that sbatch has not, or a value that it drops or refuses."""
    for option in each(job):
        if option.written.strip("-") and option.written[:1] == "-" and not long_dash(option):
            if option.problem in ("unknown", "ambiguous"):
                yield from _unknown_option(job, option)
            elif not option.problem:
                yield from _too_new(job, option)
                yield from _bad_value(job, option)


def _unknown_option(job: Job, option: Given[Piece]) -> Iterator[Found]:
    name = option.name
    names = _names()
    fix, what = "", f"sbatch has no option {option.written}"
    if option.problem == "ambiguous":
        several = [known for known in names if known.startswith(name)]
        what = f"{option.written} is short for several options"
        fix = f"Write one of --{', --'.join(several[:4])}."
    elif "srun" in option.known_to or _is_of_srun(name):
        what = f"{option.written} is an option of srun, not of sbatch"
        fix = f"Move it to the srun line: srun {option.origins[0].text} …"
    elif len(name) > 1:
        near, is_sure = meant(name)
        if not near:
            return  # a plugin's, perhaps
        fix = f"Write --{near}." if is_sure else f"Did you mean --{near}?"
    yield replace(job.found("SK109", _span(option), what, fix), why=_OF_OPTION)


def meant(name: str) -> tuple[str, bool]:
    """Return the option of sbatch's that an unknown one stands for, or "", and whether surely."""
    plain, names = name.replace("_", "-").lower(), _names()
    if plain in names or name in _MEANT:
        return _MEANT.get(name, plain), True
    near = min(names, key=lambda known: distance(plain, known))
    return "" if distance(plain, near) > (2 if len(name) > 8 else 1) else near, False


def _names() -> list[str]:
    return [known.name for known in load_options().values() if known.sbatch.history]


def _is_of_srun(name: str) -> bool:
    """Tell whether a name is a clear abbreviation of an option that only srun has."""
    known = [o for o in load_options().values() if o.name.startswith(name) and len(name) > 3]
    return len(known) == 1 and bool(known[0].srun.history) and not known[0].sbatch.history


def _too_new(job: Job, option: Given[Piece]) -> Iterator[Found]:
    """An option that this Slurm has not yet, or no longer."""
    if job.slurm_version is None or option.name not in load_options():
        return
    history = load_options()[option.name].sbatch.history
    since = [c for c in history if not c.since or parse_version(c.since) <= job.slurm_version]
    version = ".".join(f"{part:02}" for part in job.slurm_version)
    if not since:
        what = f"{option.written} came with Slurm {history[0].since}; this is {version}"
        yield replace(job.found("SK109", _span(option), what, "Leave it out."), why=_OF_OPTION)
    elif since[-1].kind == "removed" and job.slurm_version <= parse_version(NEWEST):
        what = f"{option.written} is gone since Slurm {since[-1].since}; this is {version}"
        yield replace(job.found("SK109", _span(option), what, "Leave it out."), why=_OF_OPTION)


def _bad_value(job: Job, option: Given[Piece]) -> Iterator[Found]:
    value = _known(option)
    if value is None or option.origins[0].line != option.origins[-1].line:
        return
    if option.name == "mail-type":
        yield from _mail(job, option, value)
        return
    fix = right_value(option.name, value)
    if fix is None:
        return
    if _is_parted(job, option):
        return
    shown = f"`{value}`" if value else "an empty value"
    what = f"{shown} is no value for {option.written}: sbatch refuses the script"
    yield replace(job.found("SK109", _span(option), what, fix), why=_OF_VALUE)


def _mail(job: Job, option: Given[Piece], value: str) -> Iterator[Found]:
    words = [word for word in value.split(",") if word.strip()]
    wrong = [word for word in words if word.upper() not in _MAIL]
    if not wrong:
        return
    near = min(sorted(_MAIL), key=lambda known: distance(wrong[0].upper(), known))
    is_near = distance(wrong[0].upper(), near) <= 2
    fix = f"Did you mean {near}?" if is_near else "Write one of BEGIN, END, FAIL, REQUEUE, ALL."
    if len(wrong) == len(words):
        what = f"--mail-type knows no `{wrong[0]}`: sbatch refuses the script"
    else:
        what = f"--mail-type knows no `{wrong[0]}`, and drops it without a word"
    yield replace(job.found("SK109", _span(option), what, fix), why=_OF_MAIL)


@rule("SK110")
def given_twice(job: Job) -> Iterator[Found]:
    """An option with two values, of which the last counts."""
    for options in job.script.directives.components:
        last: dict[str, Given[Piece]] = {}
        for option in options:
            if not option.origins[0].is_directive:
                continue  # that is what a command line is for
            if option.problem or (option.name == "mail-type" and not job.is_version("25.05")):
                continue
            before = last.get(option.name)
            last[option.name] = option
            if (
                before is None
                or _is_malformed(before, option)
                or _same(option.name, before.value, option.value)
            ):
                continue
            line = job.script.source.place(before.origins[0].span.start)[0]
            what = f"{said(option)} overrides {said(before)} of line {line}"
            yield job.found("SK110", _span(option), what)


def _is_malformed(*options: Given[Piece]) -> bool:
    return any(option.value == "" or (option.value or "").startswith("=") for option in options)


def _same(name: str, one: str | None, other: str | None) -> bool:
    if one == other or one is None or other is None:
        return one == other
    try:
        if name in ("time", "time-min"):
            return parse_time(one) == parse_time(other)
        if name in MEMORY:
            return parse_memory(one) == parse_memory(other)
    except GrammarError:
        return False
    return whole(one) is not None and whole(one) == whole(other)
