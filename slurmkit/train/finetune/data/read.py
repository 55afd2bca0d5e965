"""Read JSONL: one sample a line, checked, and named by file and line where it is wrong.

A sample is `{"messages": [...]}` with maybe `tools`, `{"prompt": ..., "completion": ...}` or
`{"text": ...}`; where there are several, the first of these counts. Other fields are passed over,
and so are empty lines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slurmkit.train.config_file import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROLES = ("system", "user", "assistant", "tool")
_MARK = b"\xef\xbb\xbf"  # UTF-8's byte order mark, which Windows likes to put in front


class BadSampleError(ValueError):
    """A line is no sample: what is wrong with it and what to do."""


@dataclass(frozen=True)
class Line:
    """One line of a file that is not empty, without the blanks around it."""

    number: int
    """From 1."""
    data: bytes
    """What it holds."""


def lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, data in enumerate(file, start=1):
                kept = (data.removeprefix(_MARK) if number == 1 else data).strip()
                if kept:
                    yield Line(number, kept)
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}: give an existing JSONL file as `data.dataset_path`"
        ) from error


def sample(data: bytes) -> dict[str, Any]:
    """Return the sample in a line, with only the fields that count.

    Raises:
        BadSampleError: there is none.
    """
    value = _object(data)
    if "messages" in value:
        tools = value.get("tools")
        if tools is not None and not isinstance(tools, list):
            raise BadSampleError(
                "`tools` is no list: write a list of JSON schemas, or leave it out"
            )
        return {"messages": _messages(value["messages"]), "tools": tools or None}
    if "prompt" in value or "completion" in value:
        return {key: _text(value, key) for key in ("prompt", "completion")}
    if "text" in value:
        return {"text": _text(value, "text")}
    raise BadSampleError(
        f"no sample, but an object with {_some(value)}: it needs `messages`, `prompt` and "
        "`completion`, or `text`"
    )


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadSampleError(
            f"no UTF-8 at byte {error.start + 1}: convert the file with `iconv -t utf-8`"
        ) from None
    except json.JSONDecodeError as error:
        raise BadSampleError(
            f"no JSON at column {error.colno} ({error.msg}): write one whole object a line"
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadSampleError(
            f"no JSON that can be read ({error}): mend or remove the line"
        ) from None
    if isinstance(value, dict):
        return value
    hint = "turn a JSON array into lines with `jq -c '.[]'`" if isinstance(value, list) else ""
    raise BadSampleError(f"{type(value).__name__}, no JSON object: {hint or 'write one a line'}")


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        was = "missing" if key not in value else f"a {type(text).__name__}, no text"
        raise BadSampleError(f"`{key}` is {was}: write a JSON string")
    return text


def _messages(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise BadSampleError(
            "`messages` is no list with something in it: write [{role, content}, …]"
        )
    for number, message in enumerate(value):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise BadSampleError(f"`{where}` is no object: write {{role, content}}")
        role = message.get("role")
        if role not in _ROLES:
            known = ", ".join(_ROLES)
            raise BadSampleError(f"`{where}.role: {_short(role)}` is wrong: use one of {known}")
        calls = message.get("tool_calls")
        if isinstance(message.get("content"), str):
            continue
        if message.get("content") is not None or not (role == "assistant" and calls):
            raise BadSampleError(
                f"`{where}.content` is no text: write a JSON string; only an assistant's message "
                "with `tool_calls` may go without"
            )
    return value


def _some(value: dict[str, Any]) -> str:
    names = [_short(name) for name in list(value)[:4]]
    return ", ".join(names) + (", …" if len(value) > 4 else "") or "nothing in it"


def _short(value: Any) -> str:
    text = ascii(value) if isinstance(value, str) else type(value).__name__
    return text if len(text) <= 40 else text[:40] + "…"
