"""Which variables look like secrets: those never stand in a script, nor in a message."""

from __future__ import annotations

import re

_NAME = re.compile(
    r"(^|_)(token|secret|password|passwd|passphrase|api_?key|(access|private)_?key|credentials?)(_|$)",
    re.I,
)
_PLACE = re.compile(r"_(path|file|dir|directory)$", re.I)
_VALUE = re.compile(r"(sk-|hf_|gh[opsu]_|github_pat_|glpat-|xox[abp]-|AKIA)[A-Za-z0-9_-]{12,}")


def secret_name(name: str) -> bool:
    """Say whether a variable of this name usually holds a secret.

    >>> [secret_name(name) for name in ("WANDB_API_KEY", "TOKENIZERS_PARALLELISM", "TOKEN_FILE")]
    [True, False, False]
    """
    return bool(_NAME.search(name)) and not _PLACE.search(name)


def secret_value(value: str) -> bool:
    """Say whether a text has the form of a well-known kind of token."""
    return bool(_VALUE.match(value))
