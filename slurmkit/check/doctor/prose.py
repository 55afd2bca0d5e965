"""What a person wrote around pasted output: the lines outside of Markdown's fences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FENCE = re.compile(rb"^\s*(?:>\s*)?(?:```|~~~)", re.MULTILINE)
_LARGEST = 1 << 20  # nobody pastes more


def prose_spans(path: Path) -> tuple[range, ...]:
    """Return the numbers of a file's lines outside of fences; nothing where it has no fences."""
    try:
        if path.stat().st_size > _LARGEST:
            return ()
        data = path.read_bytes()
    except OSError:
        return ()
    fences = [data.count(b"\n", 0, match.end()) + 1 for match in _FENCE.finditer(data)]
    if len(fences) < 2:
        return ()
    opening, closing = fences[::2], fences[1::2]
    ends = [*closing, data.count(b"\n") + 2]
    begins = [1, *(end + 1 for end in closing)]
    upto = [*opening, ends[-1]]
    return tuple(range(begin, end) for begin, end in zip(begins, upto, strict=False))
