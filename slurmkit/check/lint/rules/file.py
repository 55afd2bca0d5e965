"""SK101, SK102, SK614: what sbatch looks at before it reads a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.source import Span

_SHEBANG = re.compile(rb"^[ \t]*#![ \t]*/[^\n]*\n?", re.MULTILINE)
_SBATCH = re.compile(rb"^[ \t]*# ?SBATCH", re.MULTILINE)
_DEFAULT = "#!/bin/bash\n"
_MARK = b"\xef\xbb\xbf"
_UNKNOWN = "\ue000".encode()


@rule("SK101")
def no_shebang(job: Job) -> Iterator[Found]:
    """Not `#!` at the very beginning."""
    text = job.script.batch.text
    data = text.data
    if data[:2] == b"#!" or data.startswith(_UNKNOWN):
        return
    if not job.script.directives.lines and _submits(job):
        return  # it gives scripts to sbatch, and is none itself
    end = data.find(b"\n")
    span = text.span(0, max(1, end if end >= 0 else len(data))) if data else Span(0, 0)
    if not data.strip():
        yield job.found("SK101", span, "the script is empty: sbatch refuses it")
        return
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        fix = "Save it as UTF-8 without a byte order mark."
        yield job.found("SK101", span, "the file is UTF-16, which sbatch cannot read", fix)
        return
    found = _found(job, data, span)
    is_for_sbatch = _SBATCH.search(data) is not None or _SHEBANG.search(data) is not None
    yield found if is_for_sbatch else replace(found, severity="info")  # run by hand, perhaps


def _submits(job: Job) -> bool:
    return any(layers.program == "sbatch" for layers in job.script.layers.values())


def _found(job: Job, data: bytes, span: Span) -> Found:
    text = job.script.batch.text
    match = _SHEBANG.search(data)
    if data.startswith(_MARK + b"#!"):
        what = "a byte order mark stands in front of `#!`"
        edits = [Edit(text.span(0, len(_MARK)), "")]
        return job.found("SK101", span, what, edits=edits, fix="Save it without the mark.")
    if match is None:
        what = "the first line is no `#!`, nor is any other: sbatch refuses the script"
        is_bare = not data.startswith(_MARK)
        edits = [Edit(text.span(0, 0), _DEFAULT)] if is_bare else []
        return job.found("SK101", span, what, edits=edits)
    line = job.script.source.place(text.span(*match.span()).start)[0]
    first = "the first" if text.origins is None else "the first of the inner script"
    shebang = match[0].strip().decode(errors="replace")
    if match.start() == 0:
        what = f"blanks stand in front of `{shebang}`: sbatch refuses the script"
    else:
        what = f"`{shebang}` stands in line {line}, not in {first}: sbatch refuses the script"
    above = data[: match.start()]
    is_plain = all(not row.strip() or row.lstrip().startswith(b"#") for row in above.split(b"\n"))
    begin, until = text.span(0, 0).start, text.span(*match.span())
    is_same = job.script.source.data[until.start : until.end] == match[0]
    edits = []
    if is_plain and is_same and b"\xef\xbf\xbd" not in match[0]:
        edits = [Edit(until, ""), Edit(Span(begin, begin), f"{shebang}\n")]
        if match.start() == 0:
            edits = [Edit(until, f"{shebang}\n")]
    fix = f"Make `{shebang}` the first line, with nothing in front of it."
    return job.found("SK101", span, what, fix, edits=edits)


@rule("SK102")
def dos_line_breaks(job: Job) -> Iterator[Found]:
    r"""`\r\n` anywhere."""
    source = job.script.source
    first = source.data.find(b"\r\n")
    if first < 0:
        return
    count = source.data.count(b"\r\n")
    many = "all" if count == source.data.count(b"\n") else str(count)
    what = f"{many} of its line breaks are those of DOS: sbatch refuses the script"
    if many == "1":
        what = "one of its line breaks is that of DOS: sbatch refuses the script"
    said = source.data.replace(b"\r\n", b"\n").decode(errors="surrogateescape")
    edits = [Edit(Span(0, len(source.data)), said)]
    yield job.found("SK102", Span(first, first + 1), what, edits=edits)


@rule("SK614")
def no_text(job: Job) -> Iterator[Found]:
    """A NUL byte, or lines that end in carriage returns alone."""
    data = job.script.source.data
    if job.script.batch.text.origins is not None or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return
    at = data.find(b"\0")
    if at >= 0:
        what, fix = "a NUL byte: sbatch refuses the script", ""
        is_text = len(re.findall(rb"[\0-\x08\x0e-\x1f]", data)) == data.count(b"\0")
        if not is_text and not data.startswith(b"#!"):
            what, fix = "a binary file, no script", "Name the script itself, a text."
        edits = _rewritten(data, "") * is_text
        yield job.found("SK614", Span(at, at + 1), what, fix, edits=edits)
    first = data.partition(b"\n")[0].find(b"\r")
    if first >= 0 and data.startswith(b"#!") and data[first : first + 2] != b"\r\n":
        what = "a carriage return in the first line: the kernel finds no interpreter of that name"
        edits = _rewritten(data, "\n") if b"\n" not in data else ()
        fix = "Save it with the line breaks of Unix."
        yield job.found("SK614", Span(first, first + 1), what, fix, edits=edits)


def _rewritten(data: bytes, line_break: str) -> tuple[Edit, ...]:
    said = data.decode(errors="surrogateescape").replace("\0", "").replace("\r", line_break or "\r")
    return (Edit(Span(0, len(data)), said),)
