"""Checks a job file that was made: is it valid, and what became of the script's errors?"""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.importer.draft import Note


def verify(text: str, script: bytes, name: str) -> Iterator[Note]:
    """Tell what is not valid in the job file, and which errors of lint are gone, or are not."""
    from slurmkit.check.lint.run import lint
    from slurmkit.render.script import render
    from slurmkit.spec.errors import SpecError
    from slurmkit.spec.load import loads

    errors = [finding for finding in lint(script, name) if finding.severity == "error"]
    try:
        rendered = render(loads(text, "job.yaml"))
    except SpecError as error:
        for problem in error.problems:
            yield Note(0, "changed", f"{problem.path}: {problem.what}", problem.fix or "mend it")
        return
    left = {f.code for f in lint(rendered.encode(), name) if f.severity == "error"}
    for one in errors:
        line = int(one.place.rpartition(":")[0].rpartition(":")[2])
        what = f"{one.code}: {one.what}"
        if one.code in left:
            yield Note(line, "changed", what, f"still so: {one.fix}")
        else:
            yield Note(line, "fixed", what, "")
