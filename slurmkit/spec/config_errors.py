"""pydantic's errors about a program's config, told as the job file's own mistakes are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from slurmkit.spec.contradictions.found import Contradiction
from slurmkit.spec.errors import Path, dotted
from slurmkit.spec.fields import references
from slurmkit.spec.shape import model_shape

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

_ABOVE = ("entrypoint", "config")


def explain_config(
    error: ValidationError, model: type[BaseModel], values: dict[str, Any]
) -> Iterator[Contradiction]:
    """Give each mistake with its path in the job.

    Of a text that the node fills in, only its type is known, which is text.
    """
    for item in error.errors(include_url=False):
        path, kind = _path(item, values), item["type"]
        if _is_read_on_node(item["input"]) and not kind.endswith("_type"):
            continue
        what, expected, fix = _tell(kind, item, path, model)
        yield Contradiction((*_ABOVE, *path), what, fix, expected)


def _tell(
    kind: str, item: ErrorDetails, path: Path, model: type[BaseModel]
) -> tuple[str, str | None, str]:
    """Tell one mistake: what is wrong, what was expected, what to write."""
    full = (*_ABOVE, *path)
    if kind == "extra_forbidden":
        from slurmkit.spec.unknown import fix_unknown_config

        return "unknown field", None, fix_unknown_config(path, model_shape(model))
    if kind == "missing":
        example = _example(model, path)
        return "is missing", None, f"add `{example}` under `{dotted(full[:-1])}:`"
    if kind == "value_error":
        what, _, fix = item["msg"].removeprefix("Value error, ").rpartition(": ")
        return what or fix, None, fix if what else "write another value"
    if kind == "model_type":
        first = next(iter(_at(model, path).model_fields))
        fix = f"write its fields under `{dotted(full)}:`, indented, such as `{first}:`"
        return "wrong type", "a mapping of fields", fix
    from slurmkit.spec.types import mismatch

    what, expected, fix = mismatch(kind.replace("tuple", "list"), dict(item), full)
    if _is_read_on_node(item["input"]):
        fix = "write the value, or give it with --set: what the node fills in is text"
    return what, expected, fix


def _path(item: ErrorDetails, values: Any) -> Path:
    """Return where the value stands, without the branch of a union that pydantic adds."""
    if item["type"] == "missing":
        return tuple(item["loc"])
    path: list[str | int] = []
    for part in item["loc"]:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            break
        path.append(part)
    return tuple(path)


def _is_read_on_node(value: object) -> bool:
    return isinstance(value, str) and any(name is not None for _, name, _ in references(value))


def _example(model: type[BaseModel], path: Path) -> str:
    """Write what is missing, with what it needs itself: `model: {name_or_path: …}`."""
    needed = [
        info.alias or name
        for name, info in getattr(_at(model, path), "model_fields", {}).items()
        if info.is_required()
    ]
    inner = " {" + ", ".join(f"{name}: …" for name in needed) + "}" if needed else ""
    return f"{path[-1]}:{inner}"


def _at(model: Any, path: Path) -> Any:
    """Return the type of the field at a path."""
    for part in path:
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        model = fields[str(part)].annotation
    return model
