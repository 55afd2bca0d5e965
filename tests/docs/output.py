"""Compare what a command prints with what a page shows of it."""

from __future__ import annotations

import re
from collections import Counter

ANYTHING = "..."


def shape(line: str) -> str:
    """Replace what differs from run to run: figures, times, job ids, process ids, paths, blanks."""
    line = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", "TIME", line)
    line = re.sub(r"(~|/\w)[^\s:,)\"']*/([^\s:,)\"']*)", "PATH", line)
    line = re.sub(r"\d+\.\d+ (us|GB/s|s)\b|\b\d{4,}\b", "N", line)
    line = re.sub(r"(?<=runs/)(\S+/)\d+", r"\1N", line)
    line = re.sub(r"(?<=job )\d+|(?<=slurmkit-)\d+", "N", line)
    line = re.sub(r"\b(status|logs|cancel|release)( \d+)+", r"\1 N", line)
    return re.sub(r"\s+", " ", line).strip()


def differences(shown: list[str], printed: list[str]) -> str:
    """Tell what a page shows and the command does not print, and the other way round.

    Ranks speak in any order, so the order of lines is free.
    """
    wanted = Counter(shape(line) for line in shown if line.strip() != ANYTHING and line.strip())
    found = Counter(shape(line) for line in printed if line.strip())
    missing, more = wanted - found, found - wanted
    told = [f"not printed: {line}" for line in missing.elements()]
    if ANYTHING not in (line.strip() for line in shown):
        told += [f"not shown:   {line}" for line in more.elements()]
    return "\n".join(told)
