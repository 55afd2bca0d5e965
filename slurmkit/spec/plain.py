"""Plain data in a job: the config of the program, the values of a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from slurmkit.spec.contradictions import Contradiction, raise_all
from slurmkit.spec.errors import Path, shown
from slurmkit.spec.fields import check_node_text

MAX_DEPTH = 50

_TOO_LARGE = 10**300  # beyond some thousand digits Python refuses to write a number out


def _check(value: Any) -> Any:
    raise_all(_problems(value, ()))
    return _copy(value)


def _problems(value: Any, path: Path) -> Iterator[Contradiction]:
    if isinstance(value, str):
        yield from _text_problems(value, path)
    elif isinstance(value, (dict, list, tuple)):
        if len(path) >= MAX_DEPTH:  # at once: what contains itself has no end
            raise_all(
                [Contradiction(path[:1], f"nested deeper than {MAX_DEPTH} levels", "flatten it")]
            )
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            if isinstance(value, dict) and isinstance(key, str):
                yield from _text_problems(key.replace("${", "$${"), (*path, key))
            elif isinstance(value, dict):
                yield Contradiction(path, f"the key {shown(key)} is no text", "write it as text")
            yield from _problems(item, (*path, key))
    elif isinstance(value, int) and abs(value) >= _TOO_LARGE:
        yield Contradiction(path, "a number of over 300 digits", "write it as text, in quotes")
    elif value is not None and not isinstance(value, (int, float)):
        what = f"{type(value).__name__} is no YAML value"
        yield Contradiction(path, what, "use text, numbers, true, false, null, lists, mappings")


def _text_problems(text: str, path: Path) -> Iterator[Contradiction]:
    try:
        check_node_text(text)
    except PydanticCustomError as error:
        told = error.context or {}
        yield Contradiction(path, told["what"], told["fix"], told["expected"])


def _copy(value: Any) -> Any:
    """Copy plain data; subclasses, such as enums and numpy's floats, become what they stand for."""
    if isinstance(value, dict):
        return {_copy(key): _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if isinstance(value, int) else float(value)


Plain = Annotated[Any, BeforeValidator(_check)]
"""Data as YAML has it, whose texts may read `${env:NAME}`."""
Config = Annotated[dict[str, Any], BeforeValidator(_check)]
"""The program's own configuration: plain data, not interpreted."""
