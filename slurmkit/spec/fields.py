"""The kinds of text a job file holds: literal, read on the node, paths, Slurm's grammars."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from slurmkit.spec.errors import shown

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_REFERENCE = re.compile(r"\$(\$\{)|\$\{env:([^}]*)\}|\$\{env:")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FORMS = "${env:NAME} or ${env:NAME:-default}"
_JOINED = ("expand_nodelist", "check_name_list")
_KINDS = {dict: "a mapping", list: "a list", type(None): "null"}


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
        if match[2] is None:
            raise problem(
                "${env: is not closed", _FORMS, "add the }, or write $${ for a literal ${"
            )
        name, separator, default = match[2].partition(":-")
        if not _NAME.match(name):
            what = f"${{env:…}} names no environment variable: {shown(name, 40)}"
            raise problem(what, _FORMS, "write a variable's name, or $${ for a literal ${")
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
        kind = _KINDS.get(type(value)) or type(value).__name__
        raise problem(f"{kind} where text belongs", "text", "write one value")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise problem(
                "half of a surrogate pair is no character",
                "text",
                r'write "\U0001F600", not "\ud83d\ude00"',
            ) from None
    return str(value)


def _line(value: Any) -> str:
    text = _text(value)
    if _UNPRINTABLE.search(text):
        raise problem("a line break or control character", "text on one line", "remove it")
    if "${env:" in text:
        raise problem(
            "${env:…} is not read here",
            "literal text",
            "write the value, or give it with --set; "
            "only arguments, variables, config and paths read ${env:…}",
        )
    return text


def check_node_text(value: Any) -> str:
    """Check text that a node receives, and its `${env:NAME}` references."""
    text = _text(value)
    if "\0" in text:
        raise problem("a NUL character", "text without NUL", "remove it: no program can receive it")
    if "${" in text:
        references(text)
    return text


def _path(value: Any) -> str:
    text = check_node_text(os.fspath(value) if isinstance(value, os.PathLike) else value)
    if not text:
        raise problem("an empty path", "a path", "write a path, or leave the field out")
    if _UNPRINTABLE.search(text):
        raise problem("a line break or control character in a path", "a path", "remove it")
    if text.startswith("~") and not (text == "~" or text.startswith("~/")):
        raise problem("~user is not expanded", "a path", "write the whole path, or ~/…")
    return text


def _host(value: Any) -> str:
    text = _line(value)
    if not text or text.startswith("-") or " " in text:
        raise problem(
            "no host name", "a host as ssh takes it", "write a name, user@name or address"
        )
    return text


def _code(value: Any) -> str:
    text = _text(value)
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        raise problem("a control character in a command", "a line of bash", "remove it")
    return text


def _by_grammar(function: str, what: str) -> Callable[[Any], str]:
    """Make a validator from one of Slurm's grammars, imported when the first value comes."""

    def validate(value: Any) -> str:
        if function in _JOINED and isinstance(value, list) and all(type(v) is str for v in value):
            joined = ",".join(value)
            raise problem("a list where text belongs", "text", f"write {joined}")
        text = _line(value)
        from slurmkit.slurm import grammar

        try:
            getattr(grammar, function)(text)
        except grammar.GrammarError as error:
            raise problem(f"not {what}", error.expected, error.fix) from None
        return text

    return validate


class TextKind:
    """Marks a field that takes a scalar as it is written, whatever it looks like."""


_ANY_SCALAR = WithJsonSchema({"type": ["string", "number", "boolean"]})

Line = Annotated[str, TextKind, BeforeValidator(_line), _ANY_SCALAR]
"""Literal text on one line."""
Word = Annotated[Line, Field(min_length=1)]
"""Literal text on one line, not empty."""
Names = Annotated[
    str,
    TextKind,
    BeforeValidator(_by_grammar("check_name_list", "names that Slurm can have")),
    _ANY_SCALAR,
]
"""Names of partitions, accounts and their like, joined by commas."""
Host = Annotated[str, TextKind, BeforeValidator(_host), _ANY_SCALAR]
"""A host as ssh takes it."""
NodeText = Annotated[str, TextKind, BeforeValidator(check_node_text), _ANY_SCALAR]
"""Literal text, but for `${env:NAME}`, which is read on the node."""
Time = Annotated[
    str, TextKind, BeforeValidator(_by_grammar("parse_time", "a time limit")), _ANY_SCALAR
]
"""A time as sbatch takes it."""
Memory = Annotated[
    str, TextKind, BeforeValidator(_by_grammar("parse_memory", "an amount of memory")), _ANY_SCALAR
]
"""An amount of memory as sbatch takes it."""
NodeList = Annotated[
    str, TextKind, BeforeValidator(_by_grammar("expand_nodelist", "a list of nodes")), _ANY_SCALAR
]
"""Node names and ranges."""
Constraint = Annotated[
    str, TextKind, BeforeValidator(_by_grammar("check_constraint", "a constraint")), _ANY_SCALAR
]
"""Node features and how they combine."""
VariableName = Annotated[
    str,
    TextKind,
    BeforeValidator(_by_grammar("check_environment_name", "the name of a variable")),
    _ANY_SCALAR,
]
"""A name that the shell can export."""
PathText = Annotated[str, TextKind, BeforeValidator(_path), _ANY_SCALAR]
"""A path; a leading `~/` and `${env:NAME}` are read on the node."""
Code = Annotated[str, TextKind, BeforeValidator(_code), _ANY_SCALAR]
"""A line of bash: the only text of a job file that runs as code."""
