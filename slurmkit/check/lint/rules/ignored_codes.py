"""The rule on comments that silence a rule which there is not (SK617)."""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.lint.explain import UnknownRuleError
from slurmkit.check.lint.ignores import CODE, COMMENT
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule, rules
from slurmkit.check.script.source import Span


@rule("SK617")
def no_such_rule(job: Job) -> Iterator[Found]:
    """`# slurmkit: ignore=SK999`."""
    if job.script.batch.text.origins is not None:
        return
    for comment in COMMENT.finditer(job.script.source.data):
        for match in CODE.finditer(comment[1].decode(errors="replace")):
            if f"SK{match[1]}" not in rules():
                span = Span(*comment.span())
                yield job.found("SK617", span, str(UnknownRuleError(f"SK{match[1]}")))
