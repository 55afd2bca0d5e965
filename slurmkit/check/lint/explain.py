"""What `slurmkit lint --explain` says of a rule."""

from __future__ import annotations

import textwrap

from slurmkit.check.lint.distance import distance
from slurmkit.check.lint.rule import Rule, rules

_WIDTH = 88
FIXABLE = {
    "yes": "slurmkit lint --fix does it",
    "suggest": "a person decides",
    "no": "by hand",
}


class UnknownRuleError(ValueError):
    """No rule has that code."""

    def __init__(self, code: str) -> None:
        known = list(rules())
        near = min(known, key=lambda name: distance(code.upper()[:9], name))
        is_near = distance(code.upper()[:9], near) <= 1
        fix = f"did you mean {near}?" if is_near else f"codes go from {known[0]} to {known[-1]}"
        super().__init__(f"no rule {code!r}: {fix}")


def find(code: str) -> Rule:
    """Return the rule of a code, however it is written: SK101, sk101, 101.

    Raises:
        UnknownRuleError: There is none.
    """
    name = code.strip().upper()
    rule = rules().get(name) or rules().get(f"SK{name}")
    if rule is None:
        raise UnknownRuleError(code)
    return rule


def explain(rule: Rule) -> str:
    """Return all that is known of a rule, as plain text."""
    parts = [f"{rule.code} ({rule.severity}): {rule.title}", _wrapped(rule.why)]
    parts += _titled("Fix", rule.fix, f"({FIXABLE[rule.fixable]})")
    parts += _titled("Not reported", rule.exceptions)
    parts += [_example(name, code) for name, code in (("Bad", rule.bad), ("Good", rule.good))]
    if rule.sources:
        parts.append("\n".join(["Sources", *(f"  {source}" for source in rule.sources)]))
    return "\n\n".join(part for part in parts if part)


def _titled(title: str, words: str, also: str = "") -> list[str]:
    return [f"{title} {also}".rstrip() + "\n" + _wrapped(words, "  ")] if words else []


def _wrapped(words: str, indent: str = "") -> str:
    paragraphs = words.strip().split("\n\n")
    return "\n\n".join(
        textwrap.fill(
            paragraph,
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for paragraph in paragraphs
    )


def _example(name: str, code: str) -> str:
    shown = visible(code).rstrip()
    return f"{name}\n{textwrap.indent(shown, '    ')}" if code else ""


def visible(code: str) -> str:
    """Return an example with its control characters to be seen."""
    return code.replace("\r", "^M").replace("\0", "^@")
