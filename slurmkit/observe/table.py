"""Plain tables for terminals: columns as wide as they need to be, no lines, nothing imported."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

GAP = "  "


def plain(text: str) -> str:
    """Return text that is one line and changes nothing in a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def cut(text: str, width: int) -> str:
    """Return a text that takes at most so many columns, with a mark where some is left out."""
    if columns(text) <= width:
        return text
    while text and columns(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def lines(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None = None,
    flexible: Sequence[int] = (),
) -> list[str]:
    """Lay out a table; a column that is empty in every row is left out.

    Args:
        header: the names of the columns.
        rows: their texts.
        width: of the terminal; no limit when not given.
        flexible: the columns that are cut, in this order, where the terminal is too narrow.
    """
    texts = [[plain(text) for text in row] for row in rows]
    used = [at for at in range(len(header)) if any(row[at] for row in texts)]
    widths = {at: max(columns(row[at]) for row in [header, *texts]) for at in used}
    over = sum(widths.values()) + len(GAP) * (len(used) - 1) - (width or 10**9)
    for at in flexible:
        if over > 0 and at in widths:
            kept = max(widths[at] - over, len(header[at]), 8)
            over -= widths[at] - kept
            widths[at] = kept
    return [_line([(row[at], widths[at]) for at in used]) for row in [list(header), *texts]]


def _line(cells: Sequence[tuple[str, int]]) -> str:
    padded = []
    for text, width in cells:
        shown = cut(text, width)
        padded.append(shown + " " * (width - columns(shown)))
    return GAP.join(padded).rstrip()
