"""The kinds of value a job file holds: text, text read on the node, paths, options."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_REFERENCE = re.compile(r"\$(\$\{)|\$\{env:([^}]*)\}|\$\{env:")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def problem(what: str, expected: str, fix: str) -> PydanticCustomError:
    """Make a validation error that carries what was expected and the fix."""
    context = {"what": what, "expected": expected, "fix": fix}
    return PydanticCustomError("slurmkit", "{what}", context)


def references(text: str) -> list[tuple[str, str | None, str | None]]:
    """Split text into literal pieces and `${env:NAME}` references.

    Returns:
        (literal, None, None) for a literal piece, with `$${` already turned into `${`, and
        ("", NAME, default or None) for `${env:NAME}` and `${env:NAME:-default}`.

    Raises:
        PydanticCustomError: a reference is not closed, or its name is no variable name.
    """
    parts: list[tuple[str, str | None, str | None]] = []
    literal, end = "", 0
    for match in _REFERENCE.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match[1]:
            literal += "${"
            continue
        name, separator, default = (match[2] or "").partition(":-")
        if not _NAME.match(name):
            raise problem(
                f"{match[0]} names no environment variable",
                "${env:NAME} or ${env:NAME:-default}",
                "write a variable name, or $${ for a literal ${",
            )
        if literal:
            parts.append((literal, None, None))
        parts.append(("", name, default if separator else None))
        literal = ""
    if literal + text[end:] or not parts:
        parts.append((literal + text[end:], None, None))
    return parts


def _text(value: Any) -> str:
    """Take text; from Python also numbers and booleans, as YAML would write them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if not isinstance(value, str):
        kind = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
        raise problem(f"{kind} where text belongs", "text", "write one value")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise problem(
                "half of a surrogate pair is no character", "text", r'write "\U0001F600", not "\ud83d\ude00"'
            ) from None
    return str(value)


def _line(value: Any) -> str:
    text = _text(value)
    if _UNPRINTABLE.search(text):
        raise problem("a line break or control character", "text on one line", "remove it")
    if "${env:" in text:
        raise problem(
            "${env:…} is not read here", "literal text",
            "write the value, or pass it with --set; arguments, variables, config and paths read ${env:…}",
        )
    return text


def _node_text(value: Any) -> str:
    text = _text(value)
    if "\0" in text:
        raise problem("a NUL character", "text without NUL", "remove it: no program can receive it")
    if "${" in text:
        references(text)
    return text


def _path(value: Any) -> str:
    text = _node_text(value)
    if not text:
        raise problem("an empty path", "a path", "write a path, or leave the field out")
    if _UNPRINTABLE.search(text):
        raise problem("a line break or control character in a path", "a path", "remove it")
    if text.startswith("~") and not (text == "~" or text.startswith("~/")):
        raise problem("~user is not expanded", "a path", "write the whole path, or ~/…")
    return text


def _code(value: Any) -> str:
    text = _text(value)
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        raise problem("a control character in a command", "a line of bash", "remove it")
    return text


def _config(value: Any) -> Any:
    """Check a config: plain data whose texts may read `${env:NAME}`."""
    if isinstance(value, str):
        return _node_text(value)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise problem(f"the key {key!r} is no text", "text keys", "put the key in quotes")
        return {_text(key): _config(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_config(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise problem(f"{type(value).__name__} is no YAML value", "plain data", "use text, numbers, lists")


def _by_grammar(function: str) -> Callable[[Any], str]:
    """Make a validator from one of Slurm's grammars, imported when the first value comes."""

    def validate(value: Any) -> str:
        text = _line(value)
        from slurmkit.slurm import grammar

        try:
            getattr(grammar, function)(text)
        except grammar.GrammarError as error:
            raise problem(str(error), error.expected, error.fix) from None
        return text

    return validate


class TextKind:
    """Marks a field that takes a scalar as it is written, whatever it looks like."""


_ANY_SCALAR = WithJsonSchema({"type": ["string", "number", "boolean"]})

Line = Annotated[str, TextKind, BeforeValidator(_line), _ANY_SCALAR]
"""Literal text on one line."""
NodeText = Annotated[str, TextKind, BeforeValidator(_node_text), _ANY_SCALAR]
"""Literal text, but for `${env:NAME}`, which is read on the node."""
Time = Annotated[str, TextKind, BeforeValidator(_by_grammar("parse_time")), _ANY_SCALAR]
"""A time as sbatch takes it."""
Memory = Annotated[str, TextKind, BeforeValidator(_by_grammar("parse_memory")), _ANY_SCALAR]
"""An amount of memory as sbatch takes it."""
NodeList = Annotated[str, TextKind, BeforeValidator(_by_grammar("expand_nodelist")), _ANY_SCALAR]
"""Node names and ranges."""
Constraint = Annotated[str, TextKind, BeforeValidator(_by_grammar("check_constraint")), _ANY_SCALAR]
"""Node features and how they combine."""
VariableName = Annotated[
    str, TextKind, BeforeValidator(_by_grammar("check_environment_name")), _ANY_SCALAR
]
"""A name that the shell can export."""
PathText = Annotated[str, TextKind, BeforeValidator(_path), _ANY_SCALAR]
"""A path; a leading `~/` and `${env:NAME}` are read on the node."""
Code = Annotated[str, TextKind, BeforeValidator(_code), _ANY_SCALAR]
"""A line of bash: the only text of a job file that runs as code."""
Config = Annotated[dict[str, Any], BeforeValidator(_config)]
"""The program's own configuration: plain data, not interpreted."""
