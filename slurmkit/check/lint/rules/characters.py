"""Rules on characters that came in with copy and paste, and on placeholders left in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.layers import is_python
from slurmkit.check.script.source import Source, Span
from slurmkit.check.script.words import Word

_BLANKS = "\u00a0\u202f\u2009"
_QUOTES = "\u201c\u201d\u201e\u2018\u2019"
_DASHES = "\u2013\u2014\u2212"
_INVISIBLE = "\u200b\u200c\u200d\u2060\u00ad\ufeff"
_ODD = re.compile(f"[{_INVISIBLE}{_BLANKS}{_QUOTES}{_DASHES}]")
_SPEAKING = ("echo", "printf", "logger", "cat", "usage", "die", "log", "fail", "warn")
_TEXTS = ("comment", "string", "raw_string", "heredoc_body", "heredoc_content", "ansi_c_string")

_BRACES = re.compile(r"(?<![$\w%{])\{\{?\s*[A-Za-z_][\w .-]*\}?\}(?!\})")
_PLACEHOLDERS = (
    re.compile(
        r"(?<![<\w(?&])(?!<(?:s|bos|eos|pad|unk|mask|sep|cls|think|answer)>)"
        r"<[A-Za-z](?:[\w .:/@'|-]*[\w.'-])?(?<! \d)>(?=[\s\"/:;,)]|\Z)(?!/dev/)"
    ),
    _BRACES,
    re.compile(r"(?<![A-Za-z$])(?i:your)(?:[-_ ][A-Za-z]\w*|(?=/)|[A-Z]\w+)"),
    re.compile(r"(?:^|[/=:.\s])path/to(?:/|$|(?=[\s:]))"),
    re.compile(r"(?i:\bchange[-_]?me\b|\breplace[-_]?(?:me|this|with)\b|\bxyz[-_]cluster\b)"),
    re.compile(r"(?:^|=)[xX]{3,}$|(?:^|=)(?:\.\.\.)$"),
)
_IN_DIRECTIVE = re.compile(
    r"(?<=[\s=])(?:[A-Z]+_NAME|NUM_[A-Z_]+|ACCOUNT|PARTITION|PROJECT|YOU_\w+"
    r"|your\.?e?mail@\S+|[\w.+-]+@example\.(?:com|org|net|edu)"
    r"|(?<!job-name[=\s])(?<!-J\s)(?:partition|account|queue|project|qos)[_-]name)(?=\s|\Z)"
)
_DIRECTIVE = "\0"  # in front of a directive's text
_HINT = re.compile(r"<[A-Za-z]|\{|\.\.\.|(?i:your|path/to|change|replace|xyz|xxx)")


@rule("SK421")
def placeholder(job: Job) -> Iterator[Found]:
    """`<your-token>`, `YOUR_ACCOUNT`, `/path/to`."""
    lines: set[int] = set()
    source = job.script.source
    own = {name for shell in job.script.shells for name in shell.functions}
    for span, text in sorted({*_in_directives(job), *_in_code(job), *_unquoted(job)}):
        line = source.place(span.start)[0]
        patterns = _PLACEHOLDERS if _HINT.search(text) else ()
        if text.startswith(_DIRECTIVE):
            patterns = (*patterns, _IN_DIRECTIVE)
        match = next((m for p in patterns if (m := p.search(text))), None)
        if match is None or line in lines or match[0] in own or _is_filled_in_later(match, text):
            continue
        lines.add(line)
        yield job.found("SK421", span, f"`{_shown(match, text)}` stands for something else")


def _shown(match: re.Match[str], text: str) -> str:
    """Return the whole word that a placeholder is a part of, such as `/path/to/your/data`."""
    before = re.search(r"[^\s=]*\Z", text[: match.start()])
    after = re.match(r"\S*", text[match.end() :])
    whole = (before[0] if before else "") + match[0] + (after[0] if after else "")
    is_plain = "\0" not in whole and len(whole) < 60
    return (whole if is_plain else match[0]).strip(" =:")


def _is_filled_in_later(match: re.Match[str], text: str) -> bool:
    """Tell whether `{name}` is a part of a longer word, in which a program puts something in."""
    if match.re is not _BRACES or text.startswith(_DIRECTIVE) or match[0].startswith("{{"):
        return False
    before = text[: match.start()].rpartition("=")[2]
    return bool(before or text[match.end() :])


def _in_directives(job: Job) -> Iterator[tuple[Span, str]]:
    data = job.script.source.data
    for line in job.script.directives.lines:
        end = line.comment.start if line.comment is not None else line.span.end
        text = data[line.span.start : end].decode(errors="replace")
        if "--comment" not in text and "--wrap" not in text and line.words:
            yield line.words[0].span, _DIRECTIVE + text.partition("SBATCH")[2]


def _in_code(job: Job) -> Iterator[tuple[Span, str]]:
    """Return the words that are executed: of commands and assignments."""
    for shell in job.script.shells:
        if shell.where == "unknown":
            continue
        for assignments in shell.assignments.values():
            for assignment in assignments:
                words = (assignment.value, *(assignment.items or ()))
                yield from (_text(word) for word in words if word is not None)
    for command in job.script.commands:
        if command.shell.where == "unknown" or command.name in (*_SPEAKING, "sed", "awk", "grep"):
            continue
        is_program = is_python(command.name)
        for before, word in pairwise(command.words):
            if not (is_program and before.shown == "-c"):
                yield _text(word)
        yield from (_text(v.value) for v in command.variables if v.value is not None)


def _text(word: Word) -> tuple[Span, str]:
    text = "".join(piece.text if piece.kind == "text" else "\x00" for piece in word.pieces)
    return word.span, text if len(text) < 400 else ""


def _unquoted(job: Job) -> Iterator[tuple[Span, str]]:
    """`<your-token>` outside of quotes is a redirection, and mostly a syntax error."""
    batch = job.script.batch
    if batch.root is None or batch.text.origins is not None:
        return
    source = job.script.source
    data = source.data.decode("latin-1")
    for match in _PLACEHOLDERS[0].finditer(data):
        before = data[source.starts[source.place(match.start())[0] - 1] : match.start()]
        if "#" in before or "\n" in match[0] or re.match(r"/dev/", data[match.end() :]):
            continue
        if re.match(r"\s*(?:echo|printf|sed|awk|grep)\b", before) or _is_in(job, match.start()):
            continue
        yield Span(*match.span()), match[0]


def _is_in(job: Job, at: int) -> bool:
    """Tell whether a byte of the file is in a comment or a string."""
    node = job.script.batch.root
    assert node is not None
    inner = node.descendant_for_byte_range(at, at + 1)
    while inner is not None:
        if inner.type in _TEXTS:
            return True
        inner = inner.parent
    return False


@rule("SK422")
def odd_characters(job: Job) -> Iterator[Found]:
    """Characters that look like a blank, a quote or a dash, and are none."""
    source = job.script.source
    if source.data.isascii() or job.script.batch.text.origins is not None:
        return
    speaking = [
        (c.span.start, c.span.end)
        for c in job.script.commands
        if c.name in _SPEAKING and c.shell is job.script.batch
    ]
    for line in range(1, len(source.starts) + 1):
        raw = source.data[source.starts[line - 1] : source.line_span(line).end]
        if raw.isascii() or (raw.lstrip().startswith(b"#") and not raw.startswith(b"#SBATCH")):
            continue
        edits = list(_edits(job, source, line, raw.decode(errors="replace"), speaking))
        if edits:
            first, char = edits[0][0].span, edits[0][1]
            yield job.found(
                "SK422",
                first,
                f"{_named(char)} (U+{ord(char):04X}) in code",
                edits=[edit for edit, _ in edits],
            )


def _edits(
    job: Job, source: Source, line: int, text: str, speaking: list[tuple[int, int]]
) -> Iterator[tuple[Edit, str]]:
    start = source.starts[line - 1]
    is_directive = text.startswith("#SBATCH")
    if is_directive:
        text = re.split(r"(?<=\s)#", text, maxsplit=1)[0]
    for match in _ODD.finditer(text):
        char = match[0]
        at = start + len(text[: match.start()].encode())
        span = Span(at, at + len(char.encode()))
        if at == 0 or any(begin <= at < end for begin, end in speaking):
            continue
        before, after = text[: match.start()][-1:], text[match.end() :]
        if char in _DASHES and not _is_option(before, after):
            continue
        if not is_directive and char not in _INVISIBLE and _is_in(job, at):
            continue
        yield Edit(span, _meant(char, before, after)), char


def _is_option(before: str, after: str) -> bool:
    """Tell whether a dash between these begins an option."""
    return not before.strip(f" \t-{_DASHES}") and re.match(f"[A-Za-z{_DASHES}-]", after) is not None


def _meant(char: str, before: str, after: str) -> str:
    if char in _BLANKS:
        return " "
    if char in _QUOTES:
        return "'" if char in "\u2018\u2019" else '"'
    if char in _DASHES:
        is_second = before in (*_DASHES, "-")
        is_short = re.match(f"[A-Za-z](?:\\s|=|\\d|$)|[{_DASHES}-]", after)
        return "-" if is_second or is_short else "--"
    return ""


def _named(char: str) -> str:
    for chars, name in (
        (_BLANKS, "a no-break space"),
        (_QUOTES, "a typographic quote"),
        (_DASHES, "a typographic dash"),
    ):
        if char in chars:
            return name
    return "an invisible character"
