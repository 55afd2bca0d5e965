"""Values of the wrong type or size: what was expected, and what to write."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import suppress
from typing import Any

from slurmkit.spec.document import Scalar
from slurmkit.spec.errors import Path, Place, dotted, nearest
from slurmkit.spec.model import JobSpec
from slurmkit.spec.preflight import CHECKS
from slurmkit.spec.shape import ANYTHING, model_shape, to_data

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_unicode": "text",
    "invalid_key": "text as keys",
    "list_type": "a list",
    "tuple_type": "a list of two numbers",
    "missing": "a list of two numbers",
    "dict_type": "a mapping",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "less_than": "less than {lt}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "string_too_short": "a text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "too_short": "a list that is not empty",
    "too_long": "a list of two numbers",
}
_YES_AND_NO = {
    **dict.fromkeys(("yes", "on", "y"), "true"),
    **dict.fromkeys(("no", "off", "n"), "false"),
}
_WORD = re.compile(r"[A-Za-z0-9_./@=+][A-Za-z0-9_./@=+-]*\Z")


def mismatch(kind: str, item: dict[str, Any], path: Path) -> tuple[str, str, str]:
    """Tell one of pydantic's errors: what is wrong, what was expected, what to write.

    Args:
        kind: pydantic's name of the error.
        item: the error with its input and context.
        path: where the value stands in the job.
    """
    expected = _EXPECTED.get(kind, item["msg"]).format(**item.get("ctx", {})).replace("'", "")
    what = "wrong type" if kind.endswith("_type") else "wrong value"
    return what, expected, _fix(kind, item["input"], expected, path)


def _fix(kind: str, value: object, expected: str, path: Path) -> str:
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return _mapping(value, path)
    if value is None:
        return f"write {expected}, or leave the key out"
    if kind == "list_type" and isinstance(value, (str, int, float)):
        text = str(value).rstrip("\n")
        if path[-1:] in (("command",), ("args",)):
            with suppress(ValueError):
                return f"write {json.dumps(shlex.split(text), ensure_ascii=False)}"
        return f"write [{text if _WORD.match(text) else json.dumps(text, ensure_ascii=False)}]"
    if kind == "literal_error" and isinstance(value, str):
        like = nearest(value, expected.replace(" or ", ", ").split(", "))
        return f"did you mean {like}?" if like else f"write {expected}"
    if kind in ("int_type", "bool_type", "float_type"):
        return _number(kind, value, expected)
    if kind == "string_type" and isinstance(value, (int, float)):
        return "put it in quotes"
    return "shorten it" if kind == "string_too_long" else f"write {expected}"


def _mapping(value: object, path: Path) -> str:
    if isinstance(value, str) and (glued := re.fullmatch(r"(\w+):(\S+)", value)):
        return f"put a space after the colon: `{glued[1]}: {glued[2]}`"
    if path == ("entrypoint",):
        script = value if isinstance(value, str) and value.endswith(".py") else "train.py"
        return f"write `entrypoint: {{script: {script}}}`"
    if path == ("requeue",):
        return "leave requeue out" if value is False or value == "no" else "write `requeue: {}`"
    if path == ("preflight",):
        return _preflight(value)
    if path == ("launcher",) and value in ("torchrun", "srun", "accelerate"):
        return f"write `launcher: {{kind: {value}}}`"
    if path == ("entrypoint", "config") and isinstance(value, str):
        return f"write the file's lines here, or instead of config `args: [--config, {value}]`"
    shape = model_shape(JobSpec)
    for part in path:
        shape = shape.below(part)
    if not shape.fields:
        fix = f"write lines of `NAME: value`, indented, under `{dotted(path)}:`"
    else:
        first = next(iter(shape.fields))
        fix = f"write its fields under `{dotted(path)}:`, indented, such as `{first}:`"
    return f"{fix}, or leave the key out" if value is None else fix


def _preflight(value: object) -> str:
    if value is False or value == "no":
        return "leave preflight out"
    return f"write `preflight: [{value}]`" if value in CHECKS else "write `preflight: {}`"


def _number(kind: str, value: object, expected: str) -> str:
    if kind == "int_type" and isinstance(value, str):
        if gpus := re.fullmatch(r"(?:gpu:)?([a-z]\w*):(\d+)", value):
            return f"write {gpus[2]}, and the type as gpu_type: {gpus[1]}"
        if span := re.fullmatch(r"(\d+)-(\d+)", value):
            return f"write one number, such as {span[1]}"
    if kind == "int_type" and isinstance(value, float) and value.is_integer() and value < 1e9:
        return f"write {int(value)}"
    if isinstance(value, str) and kind == "bool_type" and value.lower() in _YES_AND_NO:
        return f"write {_YES_AND_NO[value.lower()]}"
    if isinstance(value, str):
        plain = to_data(Scalar(Place(""), value, "plain"), ANYTHING, (), {})
        if (
            type(plain)
            in {"int_type": (int,), "bool_type": (bool,), "float_type": (int, float)}[kind]
        ):
            return f"write {value} without quotes"
    return f"write {expected}"
