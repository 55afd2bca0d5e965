"""The rule on a memory that is meant in gigabytes (SK613)."""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.lint.facts import LEAST_MEMORY
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule
from slurmkit.slurm.scalars import whole


@rule("SK613")
def megabytes(job: Job) -> Iterator[Found]:
    """`--mem=64` is 64 MB."""
    option = job.given("mem")
    text = option.value or "" if option is not None else ""
    if option is None or not 0 < (whole(text) or 0) < LEAST_MEMORY or not job.launches:
        return
    what = f"`{option.written} {text}` asks for {text} MB a node, less than Python and torch need"
    yield job.found("SK613", option.origins[-1].span, what, f"Write {text}G, if that is meant.")
