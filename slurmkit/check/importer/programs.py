"""Programs by what they do to a job; the lists are `programs.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import yaml

What = Literal["harmless", "works_out", "safe", "prepares"]


@cache
def programs(what: What) -> frozenset[str]:
    """Return the names of a list; all but the safe ones include the harmless ones."""
    text = (Path(__file__).parent / "programs.yaml").read_text(encoding="utf-8")
    lists = {name: frozenset(words.split()) for name, words in yaml.safe_load(text).items()}
    return lists[what] if what == "safe" else lists[what] | lists["harmless"]
