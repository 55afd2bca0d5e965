"""Checks a job file that was made: is it valid, and what became of the script's errors?"""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.importer.draft import Note

_UNSEEN = {"SK108"}
"""What the job file takes over, and writes so that nobody would wonder: a time limit."""


def verify(text: str, script: bytes, name: str) -> Iterator[Note]:
    """Tell what is not valid in the job file, and what of lint's errors and warnings is left."""
    from slurmkit.check.lint.run import lint
    from slurmkit.render.script import render
    from slurmkit.spec.errors import SpecError
    from slurmkit.spec.load import loads

    before = [finding for finding in lint(script, name) if finding.severity != "info"]
    try:
        rendered = render(loads(text, "job.yaml"))
    except SpecError as error:
        for problem in error.problems:
            yield Note(0, "changed", f"{problem.path}: {problem.what}", problem.fix or "mend it")
        return
    left = {f.code for f in lint(rendered.encode(), name)} | _UNSEEN
    for one in before:
        line = int(one.place.rpartition(":")[0].rpartition(":")[2])
        what = f"{one.code}: {one.what}"
        if one.severity == "warning":
            if one.code in left:
                yield Note(line, "still", what, "")
        elif one.code in left:
            yield Note(line, "changed", what, f"still so: {one.fix}")
        else:
            yield Note(line, "fixed", what, "")
