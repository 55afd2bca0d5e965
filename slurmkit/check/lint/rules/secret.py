"""The rule on secrets."""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule
from slurmkit.check.secrets import secrets


@rule("SK509")
def secret(job: Job) -> Iterator[Found]:
    """A secret is written out; those of an inner script are of the file, too."""
    if job.script.batch.text.origins is not None:
        return
    for found in secrets(job.script.source.data):
        yield job.found("SK509", found.span, f"{found.what} is written out here")
