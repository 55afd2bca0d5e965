"""Runs all rules over a script."""

from __future__ import annotations

import importlib
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from slurmkit.check.lint.components import RULES, components
from slurmkit.check.lint.ignores import ignored
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import CHECKS, Found
from slurmkit.check.script.read import Script, read
from slurmkit.check.script.source import Source, Span

_DOS = b"\r\n"
_TEXTS = (b"#!", b"\xff\xfe", b"\xfe\xff")  # a script, or UTF-16
_HEAD = 1024  # bytes of a file, in which a binary one has its first NUL


def lint(data: bytes, name: str = "-", slurm_version: tuple[int, int] | None = None) -> list[Found]:
    """Return all that is found in a script, infos included, in the order of its lines.

    Args:
        data: The script's bytes, as they are in the file.
        name: What the findings call it.
        slurm_version: The cluster's version, where it is known.
    """
    clean = data.replace(_DOS, b"\n")
    script = read(clean, name)
    found: dict[tuple[str, int, str], Found] = {}
    _load()
    is_binary = not data.startswith(_TEXTS) and b"\0" in data[:_HEAD]
    for finding in CHECKS["SK614"](Job(script)) if is_binary else _all(script, slurm_version):
        found.setdefault((finding.code, finding.span.start, finding.what), finding)
    hidden = ignored(script)
    kept = [f for f in found.values() if not hidden(f.code, script.source.place(f.span.start)[0])]
    if clean != data:
        kept = _in_dos(kept, data, script)
    return sorted(kept, key=lambda finding: (finding.span.start, finding.code))


def _in_dos(found: list[Found], data: bytes, script: Script) -> list[Found]:
    r"""Return the findings in a file with DOS line breaks, looked for without them, and SK102.

    All but SK102 is fixed when the file has been.
    """
    places = [match.start() - at for at, match in enumerate(re.finditer(_DOS, data))]

    def placed(span: Span) -> Span:
        start = span.start + bisect_left(places, span.start)
        return Span(start, max(start, span.end + bisect_left(places, span.end)))

    dos = CHECKS["SK102"](Job(replace(script, source=Source(data, script.source.name))))
    return [*dos, *(replace(finding, span=placed(finding.span), edits=()) for finding in found)]


def _all(script: Script, slurm_version: tuple[int, int] | None) -> Iterator[Found]:
    job = Job(script, slurm_version)
    for look in CHECKS.values():
        yield from look(job)
    for component in components(job):
        for code in RULES:
            yield from CHECKS[code](component)
    for inner in script.inner:
        yield from _all(inner, slurm_version)


def _load() -> None:
    """Import the rules, which put themselves into the list."""
    for path in sorted((Path(__file__).parent / "rules").glob("[a-z]*.py")):
        importlib.import_module(f"slurmkit.check.lint.rules.{path.stem}")
