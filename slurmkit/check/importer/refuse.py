"""What is no script for bash, or none that bash can read, with the reason."""

from __future__ import annotations

import re

from slurmkit.check.lint.job import Job
from slurmkit.check.script.read import Script

_FIRST_KEY = re.compile(
    rb"(?:[ \t]*(?:#(?!!)[^\n]*)?\r?\n)*(?:---[ \t]*\r?\n|[A-Za-z][\w.-]*:[ \t\r\n])"
)


class NotImportedError(ValueError):
    """A script that cannot be a job file, with the reason and what to do."""


def refuse(job: Job) -> None:
    """Refuse what is no script, and what bash cannot read.

    Raises:
        NotImportedError: with the reason.
    """
    from slurmkit.check.lint.rules.syntax import as_bash_says

    source = job.script.source
    if b"\0" in source.data:
        raise NotImportedError(f"{source.name}: a binary file (it has NUL bytes), no script")
    if _is_yaml(source.data):
        raise NotImportedError(
            f"{source.name}: YAML, no sbatch script; a job file needs no import: "
            "`slurmkit validate` checks it"
        )
    data = source.data.replace(b"\r\n", b"\n")
    for found in as_bash_says(job if data == source.data else Job(_read(data, source.name))):
        if found.severity == "error":
            raise NotImportedError(f"{found.place}: {found.what}. {found.fix}")


def refuse_other_shell(script: Script) -> None:
    """Refuse a script of another interpreter.

    Raises:
        NotImportedError: with the first line.
    """
    raise NotImportedError(
        f"{script.source.name}: no shell script: `{script.source.line_text(1)}` runs it; "
        "import the script that starts it, or draft a job file with `slurmkit init`"
    )


def _read(data: bytes, name: str) -> Script:
    from slurmkit.check.script.read import read

    return read(data, name)


def _is_yaml(data: bytes) -> bool:
    """Tell whether a file without #! is a mapping in YAML."""
    if not _FIRST_KEY.match(data):
        return False
    import yaml

    try:
        return isinstance(yaml.load(data, Loader=yaml.CSafeLoader), dict)
    except (yaml.YAMLError, ValueError):
        return False
