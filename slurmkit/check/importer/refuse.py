"""What is no script for bash, or none that bash can read, with the reason."""

from __future__ import annotations

import re
from typing import NoReturn

from slurmkit.check.lint.job import Job
from slurmkit.check.script.read import Script

_FIRST_KEY = re.compile(
    rb"(?:[ \t]*(?:#(?!!)[^\n]*)?\r?\n)*(?:---[ \t]*\r?\n|[A-Za-z][\w.-]*:[ \t\r\n])"
)


_MOST = 6  # places that are named


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
    kind = "YAML" if _is_yaml(source.data) else "JSON" if _is_json(source.data) else ""
    if kind:
        raise NotImportedError(
            f"{source.name}: {kind}, no sbatch script; a job file needs no import: "
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


def refuse_without_launch(job: Job) -> NoReturn:
    """Refuse a script in which nothing is to be seen that a job file could start.

    Raises:
        NotImportedError: with what stands there instead.
    """
    name = job.script.source.name
    submits = [one for one in job.script.commands if one.name == "sbatch"]
    if submits:
        lines = list(dict.fromkeys(job.script.source.place(one.span.start)[0] for one in submits))
        others = ", ".join(map(str, lines[1:_MOST])) + (", …" if len(lines) > _MOST else "")
        more = f" (in line {others} as well)" if others else ""
        raise NotImportedError(
            f"{name}:{lines[0]}: submits jobs, and starts no program itself{more}: import what it "
            "gives to sbatch, a file a job, with what the script puts in"
        )
    if not job.script.commands:
        raise NotImportedError(f"{name}: has no command; there is nothing to start")
    raise NotImportedError(
        f"{name}: starts no program that can be told (torchrun, accelerate, deepspeed, srun, a "
        "script); `slurmkit init` drafts a job file to fill in"
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


def _is_json(data: bytes) -> bool:
    if data.lstrip()[:1] not in (b"{", b"["):
        return False
    import json

    try:
        return isinstance(json.loads(data), (dict, list))
    except ValueError:
        return False
