"""What is wrong with a user's template, in words: from Jinja's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jinja2 import TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError

from slurmkit.render.user_template_files import RefusedError
from slurmkit.spec.errors import nearest

_NAME = re.compile(r"'(\w+)' is undefined")
_ATTRIBUTE = re.compile(r"has no (?:attribute|element) '?([\w-]+)'?")


def what_of(error: Exception) -> str:
    """Say what happened."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, (RefusedError, UndefinedError)):
        return text
    if isinstance(error, TemplateSyntaxError):
        return f"this is no Jinja: {text}"
    if isinstance(error, SecurityError):
        return f"not allowed in a template: {text}"
    if isinstance(error, RecursionError):
        return "the template calls or includes itself without end"
    if isinstance(error, (OverflowError, MemoryError)):
        return f"too large: {text}"
    return f"{type(error).__name__}: {text}"


def fix_of(error: Exception, documented: dict[str, Any]) -> str:
    """Say what to do."""
    if isinstance(error, RefusedError):
        return error.fix or "write less: a template fills in a script, and calculates little"
    if isinstance(error, TemplateSyntaxError):
        return "correct the line; for bash that looks like Jinja: {% raw %} … {% endraw %}"
    if isinstance(error, SecurityError):
        return "use the values as they are; what needs Python belongs in a program of yours"
    if isinstance(error, UndefinedError):
        return _undefined(str(error), documented)
    if isinstance(error, RecursionError):
        return "end it with a condition"
    return "correct the line"


def _undefined(text: str, documented: dict[str, Any]) -> str:
    if "'None' has no attribute" in text or "None has no element" in text:
        return "the job has no such part: ask first, as in {% if job.requeue %}"
    if name := _NAME.search(text):
        near = nearest(name[1], documented)
        known = (
            f"values are {', '.join(documented)}; bash reads variables of the environment: $NAME"
        )
        return f"did you mean {near}? Else: {known}" if near else known
    attribute = _ATTRIBUTE.search(text)
    if attribute and (near := nearest(attribute[1], _keys(documented["job"]))):
        return f"did you mean {near}?"
    return "see `slurmkit validate --show` for the fields of the job"


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _keys(item)
