"""SK103 to SK105, SK111: lines that are no directives, or other ones than they look."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from slurmkit.check.lint.distance import distance
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.directives import Line
from slurmkit.check.script.options import Argument, parse
from slurmkit.check.script.source import Span, Text
from slurmkit.check.secrets import without_secrets

_NEAR = re.compile(
    rb"(?P<before>[ \t]*!?[ \t]*)(?P<marks>#*)(?P<between>[ \t]*)(?P<also>[#!-]*[ \t]*)"
    rb"(?P<word>[A-Za-z_0-9]{3,12})(?P<rest>[ \t]*--?[A-Za-z].*)"
)
_OTHERS = re.compile(r"(YBATCH|DBATCH|XBATCH|MSUB|BSUB|QSUB|PBATCH)$")  # of other systems
_OFF = re.compile(r"(NO|X+|DIS|OFF|OLD|_+|D|Z|N|UN|NOT)_*SBATCH$|SBATCH_?(OFF|OLD|X+|_+|NO)$")
_FOREIGN = re.compile(rb"^#(PBS|BSUB)\b.*", re.MULTILINE)


@rule("SK103")
def late(job: Job) -> Iterator[Found]:
    """A directive behind the first command."""
    directives = job.script.directives
    text = job.script.batch.text
    rows = ignored(job)
    if not rows:
        return
    first = text.span(directives.end, directives.end).start
    number = job.script.source.place(first)[0]
    command = without_secrets(job.script.source.line_text(number).strip())
    shown = command if len(command) <= 40 else f"{command[:39]}…"
    movable = {line.number for line in rows if _is_movable(job, line)}
    for line in rows:
        what = f"this directive is ignored: line {number} is a command already, `{shown}`"
        yield job.found("SK103", line.span, what, edits=_moved(job, line, line.number in movable))


def ignored(job: Job) -> list[Line]:
    """Return the directives that Slurm ignores, behind the first command."""
    late = job.script.directives.late
    return [line for line in late if _is_comment(job, line) and _has_option(line)]


def _is_comment(job: Job, line: Line) -> bool:
    """Tell whether the shell takes the line for a comment, and not for text of a heredoc."""
    shell = job.script.batch
    if shell.root is None:
        return True
    at = _offset(shell.text, line.span.start)
    node = shell.root.descendant_for_byte_range(at, at + 1)
    return node is not None and node.type == "comment"


def _offset(text: Text, place: int) -> int:
    """Return where a place of the file is in a text."""
    return place if text.origins is None else bisect_left(text.origins, place)


def _has_option(line: Line) -> bool:
    return any(word.text.startswith("-") or word.text == "hetjob" for word in line.words)


def _is_movable(job: Job, line: Line) -> bool:
    """Tell whether moving the line up does what its author wanted, beyond doubt."""
    shell = job.script.batch
    said = [word.text for word in line.words]
    if job.is_het or line.problem or any(re.search(r"[$`~]|^(het|pack)job$", s) for s in said):
        return False
    parsed = parse("sbatch", [Argument(word.text, word) for word in line.words], permute=True)
    if any(option.problem for option in parsed.options):
        return False
    for option in parsed.options:
        given = job.given(option.name)
        if given is not None and given.value != option.value:
            return False
    if shell.root is None:
        return False
    at = _offset(shell.text, line.span.start)
    node = shell.root.descendant_for_byte_range(at, at + 1)
    return node is not None and node.parent is not None and node.parent.type == "program"


def _moved(job: Job, line: Line, is_movable: bool) -> list[Edit]:
    source = job.script.source
    said = source.data[line.span.start : line.span.end]
    if not is_movable or not said.isascii():
        return []
    rows = job.script.directives.lines
    text = job.script.batch.text
    if rows:
        at = source.line_span(rows[-1].number).end
    elif text.data.startswith(b"#!"):
        at = source.line_span(source.place(text.span(0, 0).start)[0]).end
    else:
        return []  # SK101 comes first
    return [
        Edit(Span(at, at), f"{said.decode()}\n"),
        Edit(source.line_span(line.number), ""),
    ]


@rule("SK104")
def near_miss(job: Job) -> Iterator[Found]:
    """Almost `#SBATCH`."""
    for span, match in _near(job):
        word = match["word"].decode()
        if _is_off(match) or _OTHERS.match(word.upper()) or word.upper() == "SLURM":
            continue
        if not match["marks"] and (word != "SBATCH" or b"!" in match["before"]):
            continue
        if distance(word.upper(), "SBATCH") > 2:
            continue
        rest = _rest(match)
        if word == "sbatch" and _is_usage(rest):
            continue
        if not match["marks"]:
            what = f"`{word}` without # is run as a command, and ends the directives"
        elif b"!" in match["before"]:
            what = f"`{_head(match)}` is run as a command, and ends the directives"
        else:
            what = f"`{_head(match)}` is a comment, not a directive: {rest} has no effect"
        is_twin = bool(match["between"]) and word == "SBATCH" and _is_given(job, rest)
        fix = f"Write `#SBATCH {rest}`, or `##SBATCH` if it is meant to be off."
        severity = "info" if is_twin else None
        yield job.found("SK104", span, what, fix, severity=severity)  # type: ignore[arg-type]


@rule("SK105")
def switched_off(job: Job) -> Iterator[Found]:
    """`##SBATCH` and its like."""
    for span, match in _near(job):
        rest = _rest(match)
        if _is_off(match) and not _is_prose(rest):
            yield job.found("SK105", span, f"`{_head(match)}` is off: {rest} has no effect")


def _near(job: Job) -> Iterator[tuple[Span, re.Match[bytes]]]:
    """Return the lines above the first command, and that one, that look like directives."""
    text = job.script.batch.text
    directives = job.script.directives
    at = 0
    while at < len(text.data):
        end = text.data.find(b"\n", at)
        end = len(text.data) if end < 0 else end
        said = text.data[at:end]
        if at > directives.end:
            break
        match = _NEAR.match(said)
        is_directive = said.startswith((b"#SBATCH", b"#SLURM", b"#!"))
        is_like_it = match is not None and (match["marks"] or at == directives.end)
        if match is not None and is_like_it and not is_directive:
            yield text.span(at + _indent(said), end), match
        at = end + 1


def _indent(said: bytes) -> int:
    return len(said) - len(said.lstrip())


def _head(match: re.Match[bytes]) -> str:
    """Return what stands in front of the options, as it is written."""
    return match.string[: match.start("rest")].decode(errors="replace").rstrip()


def _rest(match: re.Match[bytes]) -> str:
    """Return the options; what an outer shell puts in is left open."""
    said = match["rest"].decode(errors="replace").strip()
    return re.sub("\ue000.\ue001", "…", said)


def _is_off(match: re.Match[bytes]) -> bool:
    word = match["word"].decode().upper()
    if b"!" in match["before"] or not match["marks"]:
        return False
    is_name = word == "SBATCH"
    return bool((is_name and (len(match["marks"]) > 1 or match["also"])) or _OFF.match(word))


def _is_prose(rest: str) -> bool:
    """Tell whether more words follow than options: `## #SBATCH --array is what you change`."""
    words = [Argument(word, word) for word in rest.partition("#")[0].split()]
    parsed = parse("sbatch", words, permute=True)
    return sum(option.problem == "unknown" for option in parsed.options) > 2


def _is_usage(rest: str) -> bool:
    """Tell whether `sbatch …` in a comment shows how the script is submitted."""
    words = [Argument(word, word) for word in rest.split()]
    return parse("sbatch", words).rest < len(words)


def _is_given(job: Job, rest: str) -> bool:
    """Tell whether a directive that counts gives one of these options."""
    words = [Argument(word, word) for word in rest.split()]
    return any(job.given(option.name) for option in parse("sbatch", words).options)


@rule("SK111")
def of_another_system(job: Job) -> Iterator[Found]:
    """`#PBS` and `#BSUB`, which sbatch reads to the end of the file."""
    if job.given("ignore-pbs") is not None:
        return
    text = job.script.batch.text
    for match in _FOREIGN.finditer(text.data):
        if not _is_in_submitted(job, text.span(*match.span())):
            said = match[0].decode(errors="replace").strip()
            what = f"sbatch translates `{said}`, and applies it after the #SBATCH lines"
            yield job.found("SK111", text.span(*match.span()), what)


def _is_in_submitted(job: Job, span: Span) -> bool:
    """Tell whether a line belongs to a script within the script."""
    for inner in job.script.inner:
        begin, end = inner.batch.text.span(0, max(1, len(inner.batch.text.data)))
        if begin <= span.start < end:
            return True
    return False
