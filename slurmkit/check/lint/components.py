"""Heterogeneous jobs: each component as a job of its own, with the launches that are for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from slurmkit.check.lint.job import Job

RULES = ("SK201", "SK214", "SK301", "SK306", "SK615")
"""Those that ask what a launch gets, and nothing of the script as a whole."""


def components(job: Job) -> Iterator[Job]:
    """Return the components of a heterogeneous job; none of another."""
    directives = job.script.directives
    for group, options in enumerate(directives.components if job.is_het else ()):
        script = replace(job.script, directives=replace(directives, components=(options,)))
        yield replace(job, script=script, group=group)
