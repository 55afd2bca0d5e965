"""A node tree to plain data, guided by the models: text fields take scalars as they are written."""

from __future__ import annotations

import re
import types
import typing
from functools import cache
from typing import Any

from slurmkit.spec.document import Mapping, Node, Scalar, Sequence
from slurmkit.spec.errors import Path, Place, Problem, SpecError, dotted
from slurmkit.spec.fields import TextKind

# YAML 1.2's core schema, but that a leading zero is text: 010 is somebody's name, not ten.
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?\Z")
_OTHER_BASE = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_NULLS = ("", "~", "null", "Null", "NULL")
_WORDS = {
    **dict.fromkeys(_NULLS, None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_LONGEST_NUMBER = 300  # far more digits than any number that a job file can mean


class Shape:
    """What a place in the job file holds: text, a model's fields, a list, a mapping, anything."""

    __slots__ = ("fields", "inner", "nullable", "text")

    def __init__(
        self,
        *,
        text: bool = False,
        nullable: bool = False,
        fields: dict[str, Shape] | None = None,
        inner: Shape | None = None,
    ) -> None:
        self.text, self.nullable, self.fields, self.inner = text, nullable, fields, inner

    def below(self, key: str | int) -> Shape:
        """Return the shape of what stands under `key`."""
        if self.fields is not None:
            return self.fields.get(str(key), ANYTHING)
        return self.inner or ANYTHING


class _Sweep(Shape):
    """A sweep: below each dotted path a list of what stands at that path in the job."""

    __slots__ = ("job",)

    def __init__(self, job: Shape) -> None:
        super().__init__()
        self.job = job

    def below(self, key: str | int) -> Shape:
        shape = self.job
        for part in str(key).split("."):
            shape = shape.below(part)
        return Shape(inner=shape)


ANYTHING = Shape()


@cache
def model_shape(model: Any) -> Shape:
    """Return the shape of a pydantic model, keys as the job file writes them."""
    fields = {
        info.alias or name: _shape((info.annotation, *info.metadata))
        for name, info in model.model_fields.items()
    }
    shape = Shape(fields=fields)
    if "sweep" in fields:
        fields["sweep"] = _Sweep(shape)
    return shape


def _shape(parts: tuple[Any, ...]) -> Shape:
    annotation, *metadata = parts
    if TextKind in metadata:
        return Shape(text=True)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _shape((arguments[0], *annotation.__metadata__))
    if origin in (typing.Union, types.UnionType):
        inner = [_shape((part,)) for part in arguments if part is not types.NoneType]
        shape = inner[0]
        return Shape(text=shape.text, nullable=True, fields=shape.fields, inner=shape.inner)
    if origin is list:
        return Shape(inner=_shape((arguments[0],)))
    if origin is dict:
        return Shape(inner=_shape((arguments[1],)))
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return model_shape(annotation)
    return ANYTHING


def to_data(node: Node, shape: Shape, path: Path, places: dict[Path, Place]) -> Any:
    """Turn a node into plain data; note the place of every value, and of its key, in `places`.

    Raises:
        SpecError: a key stands twice in one mapping.
    """
    places.setdefault(path, node.place)
    if isinstance(node, Scalar):
        return _scalar(node, shape)
    if isinstance(node, Sequence):
        return [
            to_data(item, shape.below(index), (*path, index), places)
            for index, item in enumerate(node.items)
        ]
    data: dict[str, Any] = {}
    for key, value in _pairs(node, path):
        places[(*path, key.text)] = key.place
        data[key.text] = to_data(value, shape.below(key.text), (*path, key.text), places)
    return data


def _pairs(node: Mapping, path: Path) -> list[tuple[Scalar, Node]]:
    """Return a mapping's pairs, what `<<` merges in first, so that own keys win."""
    merged: dict[str, tuple[Scalar, Node]] = {}
    own: dict[str, tuple[Scalar, Node]] = {}
    for key, value in node.pairs:
        if key.tag == "plain" and key.text == "<<":
            sources = value.items if isinstance(value, Sequence) else [value]
            for source in sources:
                if not isinstance(source, Mapping):
                    _fail("<< merges mappings only", source.place, path, "name an anchored mapping")
                for pair in _pairs(source, path):
                    merged.setdefault(pair[0].text, pair)
        elif key.text in own:
            first = own[key.text][0].place
            where = (*path, key.text)
            _fail(
                f"the key stands twice (first in line {first.line})", key.place, where, "keep one"
            )
        else:
            own[key.text] = (key, value)
    return list({**merged, **own}.values())


def _scalar(node: Scalar, shape: Shape) -> Any:
    text = node.text
    if shape.text and not (shape.nullable and node.tag in ("plain", "null") and text in _NULLS):
        return text
    if node.tag == "str":
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INT.match(text):
        return int(text)
    if _OTHER_BASE.match(text):
        return int(text, 0)
    return float(text) if _FLOAT.match(text) else text


def _fail(what: str, place: Place, path: Path, fix: str) -> typing.NoReturn:
    raise SpecError([Problem(what, place, dotted(path), fix=fix)])
