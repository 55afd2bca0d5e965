"""Make a directory whole or not at all, also when several processes try at once."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def user_cache() -> Path:
    """Return the user's directory for what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slurmkit"


def publish(directory: Path, fill: Callable[[Path], None]) -> None:
    """Fill a new directory beside `directory` and rename it; the first of several makers wins.

    A maker that is killed leaves a hidden directory behind, never half of the wanted one.

    Args:
        directory: what to make; where it exists already, it stays as it is.
        fill: writes everything into the directory that it is given.
    """
    part = directory.with_name(f".{directory.name}.{uuid.uuid4().hex}.part")
    part.mkdir(parents=True)
    try:
        fill(part)
        try:
            part.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
