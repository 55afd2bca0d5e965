"""Findings of lint as people read them, and as JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from slurmkit.check.finding import Severity
from slurmkit.check.lint.rule import Found, rules
from slurmkit.check.script.source import Source
from slurmkit.check.secrets import without_secrets

_WIDTH = 100
_SHOWN = 88  # characters of a line of the script
_BEFORE = 30  # of these, in front of the place, where the line is longer
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


def text(found: Found, source: Source, *, with_reason: bool = True) -> list[str]:
    """Return the lines that show a finding: the place, the line, a caret, the reason, the fix."""
    line, column = source.place(found.span.start)
    margin = " " * len(str(line))
    said, before, marked = _excerpt(found, source)
    rows = [
        f"{source.name}:{line}:{column}: {found.severity} {found.code}: {_visible(found.what)}",
        f"  {line} | {said}",
        f"  {margin} | {' ' * before}{'^' * marked}",
    ]
    why = reason(found) if with_reason else ""
    for name, words in (("seen", found.evidence), ("why", why)):
        if words:
            rows += _row(name, _visible(words))
    return [*rows, f"    fix:  {_visible(found.fix)}"]  # in one piece: it may be copied


def reason(found: Found) -> str:
    """Return what happens and when."""
    return found.why or rules()[found.code].why


def _row(name: str, words: str) -> list[str]:
    head = f"    {name + ':':<6}"
    return textwrap.wrap(
        words,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _excerpt(found: Found, source: Source) -> tuple[str, int, int]:
    """Return the first line of a finding, or a piece of it, and what to mark: from where, how much.

    Blanks of any kind count as one character each, so that the caret stands where it should.
    """
    line, column = source.place(found.span.start)
    whole = without_secrets(source.line_text(line))
    last, end = source.place(found.span.end)
    at = column - 1
    marked = (end - 1 if last == line else len(whole)) - at
    begin = 0 if len(whole) <= _SHOWN else max(0, min(at - _BEFORE, len(whole) - _SHOWN))
    shown = whole[begin : begin + _SHOWN]
    head, tail = "…" * (begin > 0), "…" * (begin + _SHOWN < len(whole))
    before = at - begin + len(head)
    marked = max(1, min(marked, len(shown) - (at - begin)))
    return f"{head}{_visible(shown)}{tail}", before, marked


def _visible(words: str) -> str:
    """Put a blank for a tab, and a mark for what a terminal would obey."""
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"
        for char in words
    )


def as_data(found: Found, source: Source) -> dict[str, object]:
    """Return a finding as `--json` writes it."""
    line, column = source.place(found.span.start)
    last = source.place(max(found.span.start, found.span.end - 1))[0]
    return {
        "code": found.code,
        "severity": found.severity,
        "line": line,
        "column": column,
        "end_line": last,
        "message": found.what,
        "fix": found.fix,
    }


def summary(found: Iterable[Found], files: int, hidden: int = 0) -> str:
    """Say in a line how much was found.

    Args:
        found: What is shown.
        files: How many scripts were read.
        hidden: How many findings are not shown, being no more than information.
    """
    counts = Counter(finding.severity for finding in found)
    parts = [_count(counts[severity], severity) for severity in SEVERITIES if counts[severity]]
    told = ", ".join(parts) or "nothing wrong"
    also = f"; {_count(hidden, 'info')} more with --info" if hidden else ""
    return f"{_count(files, 'script')}: {told}{also}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 or name == "info" else f"{number} {name}s"


def worst(found: Sequence[Found]) -> Severity | None:
    """Return the gravest severity among findings."""
    return min((f.severity for f in found), key=SEVERITIES.index, default=None)
