"""What a simulation tells its user, on standard error."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Tell the user something."""
    print(f"simulate: {text}", file=sys.stderr, flush=True)
