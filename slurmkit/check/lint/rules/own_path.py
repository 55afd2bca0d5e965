"""The rule on `dirname "$0"` (SK612)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule
from slurmkit.check.script.source import Span

_OWN_PATH = re.compile(
    rb"\b(?:dirname|realpath|readlink)\s[^)`\n]*?"
    rb"\$(?:0\b|\{0\}|BASH_SOURCE\b|\{BASH_SOURCE(?:\[0\])?\})"
    rb"|\$\{(?:0|BASH_SOURCE(?:\[0\])?)%"
)
_KNOWS = re.compile(rb"scontrol\s+show\s+job|SLURM_SUBMIT_DIR|slurm_script|/spool")
"""What a script has that knows of it."""


@rule("SK612")
def own_directory(job: Job) -> Iterator[Found]:
    """The script looks for itself, and finds Slurm's copy."""
    data = job.script.source.data
    if not job.script.directives.lines or _KNOWS.search(data):
        return
    for shell, _ in job.script.trees:
        if shell is not job.script.batch:
            continue
        for match in _OWN_PATH.finditer(shell.text.data):
            start = match.start()
            line = shell.text.data.rfind(b"\n", 0, start) + 1
            if b"#" in shell.text.data[line:start]:
                continue
            span = Span(*shell.text.span(start, match.end()))
            shown = match[0].decode(errors="replace")
            yield job.found(
                "SK612", span, f"`{shown}` is the directory of Slurm's copy of the script"
            )
