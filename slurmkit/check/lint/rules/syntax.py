"""SK611: a script that bash cannot read, or reads otherwise than it looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.check.finding import Severity
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule
from slurmkit.check.script.grammar import without_placeholders
from slurmkit.check.script.source import Span
from slurmkit.spec.bash import complaint

if TYPE_CHECKING:
    from tree_sitter import Node

_SHELL = re.compile(rb"#!.*[/ ](?:ba|da)?sh\b|(?!#!)")
_READER = re.compile(rb"\s*(?:sbatch|srun|bash|sh|python3?)\b")
"""What reads a heredoc as a script: most likely the rest of the file is meant for it."""
_HEREDOC = re.compile(r"warning: here-document at line (\d+) .*\(wanted `(.*)'\)")


@rule("SK611")
def unreadable(job: Job) -> Iterator[Found]:
    """A quote, a heredoc, a block that nothing closes.

    bash is asked only where the syntax tree has an error, or a heredoc that ends by indulgence.
    """
    text, root = job.script.batch.text, job.script.batch.root
    if root is not None and (root.has_error or (b"<<" in text.data and _is_open(root, text.data))):
        yield from as_bash_says(job)


def as_bash_says(job: Job) -> Iterator[Found]:
    """Ask bash, whatever the tree is like."""
    text, root = job.script.batch.text, job.script.batch.root
    if root is None or text.placeholders or not _SHELL.match(text.data):
        return
    data = without_placeholders(text.data)
    said = complaint(data)
    rows = data.split(b"\n")
    if said is None or _has_ended(rows, said.line):
        return
    heredoc = _HEREDOC.match(said.words)
    if heredoc is not None:
        yield _heredoc(job, rows, int(heredoc[1]), heredoc[2])
    elif said.is_fatal:
        line = min(said.line, len(rows) - (not rows[-1]) or 1)
        what = f"bash cannot read the script: {said.words}"
        yield job.found("SK611", _span(job, rows, line), what)


def _is_open(root: Node, data: bytes) -> bool:
    """Tell whether bash may take a heredoc's last line for text, for what is around its word."""
    todo = [root]
    while todo:
        node = todo.pop()
        todo += node.children
        if node.type == "heredoc_end":
            begin = data.rfind(b"\n", 0, node.start_byte) + 1
            end = data.find(b"\n", node.end_byte)
            row = data[begin : end if end >= 0 else len(data)]
            beside = node.parent.children if node.parent is not None else ()
            start = next((c.text or b"" for c in beside if c.type == "heredoc_start"), b"")
            is_plain = row.lstrip(b"\t") == re.sub(rb"[\"'\\]", b"", start)
            if not is_plain or row.startswith(b"\t") or data[:begin].endswith(b"\\\n"):
                return True
    return False


def _has_ended(rows: list[bytes], line: int) -> bool:
    """Tell whether the script has ended before a line, by an `exit` that depends on nothing."""
    ends = (n for n, row in enumerate(rows[: line - 1]) if re.match(rb"exit\b[ \t\d]*$", row))
    first = next(ends, None)
    return first is not None and complaint(b"\n".join(rows[: first + 1]) + b"\n") is None


def _heredoc(job: Job, rows: list[bytes], line: int, word: str) -> Found:
    """Return the finding on a heredoc that goes on to the end of the file."""
    # where lines go on, bash counts from the last of them, or from the one behind it
    line = next((n for n in range(min(line, len(rows)), 0, -1) if b"<<" in rows[n - 1]), 1)
    near = next((n for n in range(line + 1, len(rows) + 1)
                 if rows[n - 1].strip() == word.encode()), None)  # fmt: skip
    if near is None:
        what = f"the heredoc of this line has no end: bash looks for `{word}` alone on a line"
        fix = f"Write {word} alone on a line behind the text."
        kind: Severity = "warning" if _READER.match(rows[line - 1]) else "error"
        return job.found("SK611", _span(job, rows, line), what, fix, severity=kind)
    first = job.script.source.place(_span(job, rows, line).start)[0]
    what = f"this does not end the heredoc of line {first}: there are blanks around `{word}`"
    fix = f"Write {word} alone on its line, without blanks."
    if rows[near - 1].lstrip(b"\t") == word.encode() and rows[near - 2].endswith(b"\\"):
        what = f"this does not end the heredoc of line {first}: a backslash ends the line above"
        fix = "Take the backslash out: nothing follows it."
    is_last = not any(row.strip() and not row.lstrip().startswith(b"#") for row in rows[near:])
    severity: Severity = "warning" if is_last else "error"
    return job.found("SK611", _span(job, rows, near), what, fix, severity=severity)


def _span(job: Job, rows: list[bytes], line: int) -> Span:
    at = sum(len(row) + 1 for row in rows[: line - 1])
    return job.script.batch.text.span(at, at + len(rows[line - 1]))
