r"""The rule on lines that should go on and do not: `\` followed by a blank or a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.shell import Shell
from slurmkit.check.script.source import Span
from slurmkit.check.secrets import excerpt

if TYPE_CHECKING:
    from tree_sitter import Node

_BLANK = re.compile(rb"(?<!\\)\\([ \t]+)(?=\r?\n)")
_COMMENT = re.compile(rb"(?<!\\)\\([ \t]+#[^\n]*)(?=\n|\Z)")
_BETWEEN = re.compile(rb"\\\n((?:[ \t]*#[^\n]*\n)+)([ \t]*)([^\s#][^\n]*)")
_OPTION = re.compile(r"\s*(--[A-Za-z][\w-]*)(?=[=\s]|\Z)")
_GOES_ON = re.compile(r"\\\s*(?:#.*)?\Z|[|&({]\Z|\b(?:then|do|else)\Z")
_CLOSES = re.compile(r"\A\Z|#|[;&]\Z|\A(?:[})]|fi|done|esac)\Z")
_TEXTS = ("comment", "heredoc_body", "raw_string", "string", "ansi_c_string", "heredoc_content")


@rule("SK409")
def broken(job: Job) -> Iterator[Found]:
    """A command that ends before its options do."""
    for shell, root in job.script.trees:
        if shell.text.origins is None:
            yield from _in_file(job, shell, root)
        elif shell.where != "unknown":
            yield from _in_text(job, shell, root)
    yield from _left_over(job)
    yield from _alone(job)


def _in_file(job: Job, shell: Shell, root: Node) -> Iterator[Found]:
    data = shell.text.data
    for pattern, what in (
        (_BLANK, "a blank follows the `\\`"),
        (_COMMENT, "a comment follows the `\\`"),
    ):
        for match in pattern.finditer(data):
            if _is_code(root, match.start()) and data[match.end() :].strip():
                span = Span(match.start(), match.end())
                yield job.found(
                    "SK409",
                    span,
                    f"{what}: the command ends here, and the next line is one of its own",
                    edits=(Edit(Span(*match.span(1)), ""),),
                )
    for match in _BETWEEN.finditer(data):
        begin = match.start(1)
        comment = begin + len(match[1]) - len(match[1].lstrip())
        if _is_code(root, match.start(), "array") and _ends(data, match) and _goes_on(match):
            yield job.found(
                "SK409",
                Span(comment, data.find(b"\n", comment)),
                "a comment between lines that go on: the command ends here, and "
                f"`{excerpt(match[3].decode(errors='replace'), 40)}` is one of its own",
                edits=_moved(data, match),
            )


def _ends(data: bytes, match: re.Match[bytes]) -> bool:
    """Tell whether the command is over at the comment; behind `&&` and `|` it may go on."""
    line = data[data.rfind(b"\n", 0, match.start()) + 1 : match.start()].rstrip()
    return not line.endswith((b"&&", b"|", b"(", b"{", b";"))


def _goes_on(match: re.Match[bytes]) -> bool:
    """Tell whether the line behind the comments was meant to belong to the command."""
    if re.match(rb"-{1,2}[A-Za-z]", match[3]):
        return True
    last = match[1].rstrip(b"\n").rpartition(b"\n")[2]
    indent = last[: len(last) - len(last.lstrip())]
    return bool(match[2]) and last.endswith(b"\\") and indent == match[2]


def _moved(data: bytes, match: re.Match[bytes]) -> tuple[Edit, ...]:
    """Return the edits that put the comments above the command."""
    start = data.rfind(b"\n", 0, match.start()) + 1
    while start and data[: start - 1].endswith(b"\\"):
        start = data.rfind(b"\n", 0, start - 1) + 1
    text = match[1].decode(errors="replace")
    if text.encode() != match[1]:
        return ()
    comments = "".join(line.rstrip("\\ \t") + "\n" for line in text.splitlines())
    return (Edit(Span(start, start), comments), Edit(Span(*match.span(1)), ""))


def _is_code(root: Node, at: int, *others: str) -> bool:
    """Tell whether a byte is neither in a comment nor in a string, nor in one of other nodes."""
    node = root.descendant_for_byte_range(at, at + 1)
    while node is not None:
        if node.type in _TEXTS or node.type in others:
            return False
        if node.type in ("command_substitution", "process_substitution"):
            return True
        node = node.parent
    return True


def _in_text(job: Job, shell: Shell, root: Node) -> Iterator[Found]:
    r"""In a string the `\ joined the lines: a comment there takes the rest with it."""
    text = shell.text
    for match in _BLANK.finditer(text.data):
        if _is_code(root, match.start()) and text.data[match.end() :].strip():
            yield job.found(
                "SK409",
                text.span(match.start(), match.end()),
                "a blank follows the `\\`: the command ends here, and the next line is one of "
                "its own",
            )
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "comment" and node.end_byte > node.start_byte:
            first = text.span(node.start_byte, node.start_byte + 1).start
            last = text.span(node.end_byte - 1, node.end_byte).end
            place = job.script.source.place
            if place(first)[0] < place(last)[0] and shell.starter is not None:
                yield job.found(
                    "SK409",
                    Span(first, first + 1),
                    "the `\\` before it has joined the lines: this comment goes on to the end of "
                    "the command, and takes the lines behind it with it",
                )
        stack.extend(node.children)


def _left_over(job: Job) -> Iterator[Found]:
    r"""`CMD='… \⏎ …'` and then `$CMD`: the `\` is an argument."""
    for launch in job.launches:
        for word in launch.layers.words:
            if word.literal in ("\\", "#") and not word.is_quoted:
                yield job.found(
                    "SK409",
                    word.span,
                    f"`{word.literal}` stands in a variable: it is an argument like any other",
                )
                break


def _alone(job: Job) -> Iterator[Found]:
    """A line of options that the line above does not go on to: bash runs it as a command."""
    source = job.script.source
    for command in job.script.batch.commands:
        line = source.place(command.span.start)[0]
        option = _OPTION.match(source.line_text(line))
        before = source.line_text(line - 1).strip() if line > 1 else ""
        if option is None or before.startswith("#") or _GOES_ON.search(before):
            continue
        if not source.data[command.span.start :].startswith(option[1].encode()):
            continue
        what = "the line above ends the command" if before else "the empty line ends the command"
        yield job.found(
            "SK409",
            Span(command.span.start, command.span.start + len(option[1].encode())),
            f"{what}: bash runs this line as one of its own",
            edits=() if _CLOSES.search(before) else _continued(job, line - 1),
        )


def _continued(job: Job, line: int) -> tuple[Edit, ...]:
    """Return the edit that makes a line go on, where it is one of the file itself."""
    if job.script.batch.text.origins is not None:
        return ()
    end = job.script.source.line_span(line).start
    end += len(job.script.source.line_text(line).rstrip().encode())
    return (Edit(Span(end, job.script.source.line_span(line).end), " \\\n"),)
