"""SK106, SK107: what stands in a directive, word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.directives import Line, Piece
from slurmkit.check.script.options import Argument, Given, parse
from slurmkit.check.script.source import Span
from slurmkit.slurm.options import load_options

_FREE = ("job-name", "comment", "wckey")  # whose value may well begin with =
_EXPANDED = re.compile(r"\$(?:\(\([^)]*\){0,2}|\w+|\{[^}]*\}?|\([^)]*\)?)|`[^`]*`?|^~(?=/|$)")
_TEMPLATE = re.compile(r"\{\{|\{%|%\}|\}\}")
_PATTERNS = {
    "SLURM_JOB_ID": "%j", "SLURM_JOBID": "%j", "SLURM_JOB_NAME": "%x", "SLURM_ARRAY_JOB_ID": "%A",
    "SLURM_ARRAY_TASK_ID": "%a", "USER": "%u", "SLURM_JOB_USER": "%u", "HOSTNAME": "%N",
    "SLURM_NODEID": "%n", "SLURM_PROCID": "%t", "SLURM_STEP_ID": "%s",
}  # fmt: skip
_FILES = ("output", "error", "input")
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"


def long_dash(option: Given[Piece]) -> bool:
    """Tell whether it begins with a dash that is not that of the keyboard."""
    return any(char in _DASHES for char in option.origins[0].text[:3])


def each(job: Job) -> Iterator[Given[Piece]]:
    """Return the options of all components, without those of the command line."""
    for options in job.script.directives.components:
        yield from (option for option in options if option.origins[0].is_directive)


def said(option: Given[Piece]) -> str:
    """Return an option as it may be written: `--nodes=2`, `-N 2`."""
    if option.value is None:
        return option.written
    between = "=" if option.written.startswith("--") else " "
    return f"{option.written}{between}{option.value}"


@rule("SK106")
def not_expanded(job: Job) -> Iterator[Found]:
    """A variable, a command or ~ in a directive."""
    for option in each(job):
        piece = option.origins[-1]
        value = option.value if option.value is not None else piece.text
        match = _EXPANDED.search(value)
        if match is None or _is_escaped(job, piece):
            continue
        written = value if option.value is None else said(option)
        what = f"`{match[0]}` stays as it is in `{written}`: no shell reads the directives"
        yield job.found("SK106", piece.span, what, _instead(option, value, match[0]))


def _is_escaped(job: Job, piece: Piece) -> bool:
    r"""Tell whether a word says `\$`: somebody means the character."""
    written = job.script.source.data[piece.span.start : piece.span.end]
    return b"\\" in written and not re.search(rb"[$`~]", re.sub(rb"\\.", b"", written))


def _instead(option: Given[Piece], value: str, found: str) -> str:
    name = found.strip("${}")
    if option.name in _FILES and name in _PATTERNS:
        return f"Write {_PATTERNS[name]} for {found}: {value.replace(found, _PATTERNS[name])}"
    if option.name in _FILES and (found.startswith("~") or name in ("HOME", "PWD", "SCRATCH")):
        return "Write the path out, or relative to where sbatch is called; %u is the user's name."
    if option.value is None:
        return ""
    return f"Write the value out, or give it when you submit: sbatch --{option.name}={found} SCRIPT"


@rule("SK107")
def malformed(job: Job) -> Iterator[Found]:
    """Words that sbatch cannot take for options, or takes for others than they look."""
    rows = job.script.directives.lines
    for line in rows:
        yield from _broken(job, line)
    for option in each(job):
        line = rows[option.origins[0].line]
        if not line.problem and not _TEMPLATE.search(job.script.source.line_text(line.number)):
            yield from _option(job, option, line)


def _broken(job: Job, line: Line) -> Iterator[Found]:
    word = line.words[-1] if line.words else None
    if line.problem == "quote" and word is not None:
        what = "a quote is opened and not closed: sbatch refuses the script"
        yield job.found("SK107", word.span, what, "Close the quote.")
    elif line.problem == "colon":
        bad = next(w for w in line.words if w.text.startswith(":"))
        what = f"the word `{bad.text}` begins with a colon: sbatch refuses the script"
        yield job.found("SK107", bad.span, what, "Put it in quotes, or take it out.")
    elif job.is_version(below="24.11"):
        yield from _blanks(job, line)
    if line.comment is not None and word is not None and word.span.end == line.comment.start:
        lost = job.script.source.data[line.comment.start : line.comment.end]
        if re.match(rb"#[\w%./-]", lost) and re.search(r"=.", word.text):
            shown = lost.decode(errors="replace").strip()
            what = f"`{shown}` is a comment, although no blank is in front of it: it is left out"
            fix = "Put the value in quotes, or a blank in front of the comment."
            yield job.found("SK107", Span(*line.comment), what, fix, severity="warning")


def _blanks(job: Job, line: Line) -> Iterator[Found]:
    r"""`a\ b`: only newer versions of Slurm keep the blank."""
    for word in line.words:
        written = job.script.source.data[word.span.start : word.span.end]
        if re.search(rb"\\[ \t]", re.sub(rb"'[^']*'|\"[^\"]*\"", b"", written)):
            what = "before Slurm 24.11 a blank ends the word, with a backslash in front of it too"
            yield job.found("SK107", word.span, what, "Put the value in quotes.")


def _option(job: Job, option: Given[Piece], line: Line) -> Iterator[Found]:
    first, last = option.origins[0], option.origins[-1]
    span = Span(first.span.start, last.span.end)
    is_word = option.written[:1] == "-" and option.written not in ("-", "--")
    if not is_word or long_dash(option):
        yield from _stray(job, option, line)
    elif option.problem == "no value":
        yield job.found("SK107", span, f"{option.written} has no value: sbatch refuses the script")
    elif option.problem == "needless value":
        what = f"{option.written} takes no value, and `{option.value}` is given: sbatch refuses it"
        yield job.found("SK107", span, what, f"Write {option.written} alone.")
    elif first.line != last.line:
        what = (
            f"{option.written} has no value here, and takes `{last.text}` of the next line for it"
        )
        yield job.found("SK107", first.span, what, f"Write {option.written}=VALUE.")
    elif (long_name := _one_dash(first.text)) is not None:
        value = first.text[2:]
        what = f"`{first.text}` is read as -{first.text[1]} with the value `{value}`"
        edits = _exact(job, first, f"-{first.text}")
        yield job.found("SK107", first.span, what, f"Write --{long_name}.", edits=edits)
    elif _has_stray_equals(option, _follows(line, last)):
        yield from _equals(job, option, line)


def _one_dash(word: str) -> str | None:
    """`-nodes=2`: return the long option that is meant."""
    name = word[1:].partition("=")[0]
    is_long = word[:1] == "-" != word[1:2] and len(name) > 2 and name in load_options()
    return name if is_long else None


def _has_stray_equals(option: Given[Piece], after: Piece | None) -> bool:
    """`--nodes =2`, `-N=2`; and `--nodes= 2`, with the word behind it."""
    value = option.value
    if option.name in _FREE and option.origins[0].text.startswith(f"{option.written}=="):
        return False
    if value == "":
        return after is not None
    return value is not None and value.startswith("=")


def _follows(line: Line, piece: Piece) -> Piece | None:
    """Return the word behind one, where it is no option."""
    after = next((w for w in line.words if w.span.start > piece.span.start), None)
    return after if after is not None and not after.text.startswith("-") else None


def _equals(job: Job, option: Given[Piece], line: Line) -> Iterator[Found]:
    """`--nodes = 2`, `--nodes =2`, `--nodes= 2`, `-N=2`, `-N = 2`."""
    first, last = option.origins[0], option.origins[-1]
    value = (option.value or "").removeprefix("=")
    end = last
    if not value:
        after = _follows(line, last)
        if after is None:
            return
        value, end = after.text, after
    is_long = option.written.startswith("--")
    right = f"{option.written}={value}" if is_long else f"{option.written} {value}"
    span = Span(first.span.start, end.span.end)
    said = job.script.source.data[span.start : span.end].decode(errors="replace")
    if option.value:
        what = f"`{said}` gives {option.written} the value `{option.value}`"
    else:
        what = f"`{said}` gives {option.written} an empty value"
    kept = said[said.index("=") :].lstrip("= \t")
    mended = f"{option.written}{'=' if is_long else ' '}{kept}"
    edits = [Edit(span, mended)] if said.isascii() and kept else []
    yield job.found("SK107", span, what, f"Write {right}, without blanks around =." if is_long
                    else f"Write {right}: a short option takes no =.", edits=edits)  # fmt: skip


def _stray(job: Job, option: Given[Piece], line: Line) -> Iterator[Found]:
    """A word that belongs to no option."""
    word = option.origins[0]
    if "\ue000" in word.text:
        return  # what an outer shell puts in may be options
    before = [w for w in line.words if w.span.end <= word.span.start]
    if before and (_is_told(before[-1].text) or _is_of_plugin(before[-1].text)):
        return
    if word.text == "--" and _follows(line, word) is not None:
        return  # that word is told
    what = f"`{word.text}` belongs to no option: sbatch refuses the script"
    name = word.text.lstrip(f"-{_DASHES}").partition("=")[0]
    edits: list[Edit] = []
    if long_dash(option):
        what = f"`{word.text}` begins with a long dash, not with two short ones: sbatch refuses it"
        bare = word.text.lstrip(f"-{_DASHES}")
        right = f"--{bare}" if len(bare.partition("=")[0]) > 1 else f"-{bare}"
        edits = _exact(job, word, right) if name in load_options() else []
        fix = f"Write {right}."
    elif name in load_options():
        fix = f"Write --{word.text}."
    elif before and "=" in before[-1].text and not line.problem:
        name, _, value = before[-1].text.partition("=")
        fix = f'If it belongs to the value, quote it: {name}="{value} {word.text}". '
        fix += "If it is a comment, put # in front."
        if name.startswith("--mem"):
            fix = f"Write {before[-1].text}{word.text}, without a blank."
    elif before and before[-1].text.startswith("--"):
        fix = f"Write {before[-1].text}={word.text} if it is its value."
    else:
        fix = "Take it out; a comment begins with #."
    yield job.found("SK107", word.span, what, fix, edits=edits)


def _is_told(before: str) -> bool:
    """Tell whether a stray word follows from one that is told: `--nodes = 2`, `-time 1:00`."""
    return before.endswith("=") or before[:1] in _DASHES or _one_dash(before) is not None


def _is_of_plugin(before: str) -> bool:
    """Tell whether a word is an option that only a site knows, as in `--rsc p=4:t=8`."""
    if not re.fullmatch(r"--[a-z][\w-]*", before):
        return False
    return parse("sbatch", [Argument(before, None)]).options[0].problem == "unknown"


def _exact(job: Job, piece: Piece, right: str) -> list[Edit]:
    """Return an edit of a word, where it stands in the file as it is read."""
    said = job.script.source.data[piece.span.start : piece.span.end]
    return [Edit(piece.span, right)] if said == piece.text.encode() else []
