"""The head of a shard's file: which pieces of which tensors it holds. No torch.

The format is eight bytes of header length, a JSON header, then the data without gaps
(https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.train.checkpoint.metadata import CheckpointError, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHARDING = "DCP_SHARDING_INFO"
"""torch's key for where each piece lies in its tensor."""
TYPES = {
    "float64": ("F64", 8),
    "float32": ("F32", 4),
    "float16": ("F16", 2),
    "bfloat16": ("BF16", 2),
    "int64": ("I64", 8),
    "int32": ("I32", 4),
    "int16": ("I16", 2),
    "int8": ("I8", 1),
    "uint8": ("U8", 1),
    "bool": ("BOOL", 1),
}
"""By torch's name of a type: the name in a header, and bytes an element."""
_NAMES = {short: name for name, (short, _) in TYPES.items()}
_LONGEST = 100_000_000  # bytes of a header, which is what safetensors takes


@dataclass(frozen=True)
class Held:
    """A piece of a tensor in a file."""

    path: Path
    """The file."""
    shape: tuple[int, ...]
    """Of the piece."""
    offset: tuple[int, ...]
    """Where it begins in the whole tensor, by dimension."""
    whole: TensorInfo
    """The whole tensor, as the file says."""
    begin: int
    """Where its bytes begin in the file."""


def read_header(path: Path) -> dict[str, Held]:
    """Return the pieces in a file, by the names of their tensors.

    Raises:
        CheckpointError: the file is missing, truncated or no shard.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _LONGEST:
                raise ValueError("it does not begin as safetensors files do")
            header: dict[str, Any] = json.loads(file.read(length))
        info = json.loads(header.pop("__metadata__")[SHARDING])
        return {
            name: Held(
                path,
                tuple(entry["shape"]),
                tuple(info[name]["saved_offsets"]),
                TensorInfo(shape=tuple(info[name]["shape"]), dtype=_NAMES[entry["dtype"]]),
                8 + length + entry["data_offsets"][0],
            )
            for name, entry in header.items()
        }
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: no shard of a checkpoint, or damaged: {error}") from error


def write_header(
    shapes: Mapping[str, tuple[str, Sequence[int]]], sharding: object = None
) -> tuple[bytes, dict[str, int]]:
    """Return the beginning of a file, and where each tensor's bytes begin, in their order.

    Args:
        shapes: torch's name of the type, and the shape, of what the file holds of each tensor.
        sharding: where each piece lies in its tensor; None: the tensors are whole.
    """
    about = {"format": "pt"} | ({SHARDING: json.dumps(sharding)} if sharding is not None else {})
    header: dict[str, object] = {"__metadata__": about}
    begins, end = {}, 0
    # Wide types come first, so that all are aligned.
    for name in sorted(shapes, key=lambda name: (-TYPES[shapes[name][0]][1], name)):
        dtype, shape = shapes[name]
        short, width = TYPES[dtype]
        begins[name], end = end, end + prod(shape) * width
        places = [begins[name], end]
        header[name] = {"dtype": short, "shape": list(shape), "data_offsets": places}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    start = len(text).to_bytes(8, "little") + text
    return start, {name: len(start) + begin for name, begin in begins.items()}
