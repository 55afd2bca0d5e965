"""Checkpoints of shards, written by safetensors itself in the format that the docs describe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

CONFIG = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "tiny",
    "r": 4,
    "lora_alpha": 8,
    "target_modules": ["q_proj", "o_proj"],
}


def some_tensors(seed: int = 0) -> dict[str, Tensor]:
    """Return tensors whose rows do not divide evenly, one of which is smaller than the shards."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a": (5, 3), "b": (7,), "c": (1, 4), "d": ()}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return tensors | {"e": torch.randn(6, 2, generator=generator).bfloat16()}


def write_checkpoint(
    folder: Path,
    tensors: Mapping[str, Tensor],
    *,
    shards: int = 2,
    dimension: int = 0,
    config: Mapping[str, Any] | None = None,
    **more: Any,
) -> Path:
    """Write a checkpoint as `shards` ranks would, and return its folder."""
    files = {"adapter_config.json": json.dumps(config or CONFIG).encode(), "tokenizer.json": b"{}"}
    for shard in range(shards):
        pieces: dict[str, Tensor] = {}
        info = {}
        for name, tensor in tensors.items():
            at = dimension if tensor.ndim > dimension else 0
            piece, offset = _cut(tensor, shard, shards, at)
            if piece.numel():
                pieces[name] = piece.contiguous()
                info[name] = {"saved_offsets": offset, "shape": list(tensor.shape)}
        head = {"format": "pt", "DCP_SHARDING_INFO": json.dumps(info)}
        files[f"adapter_model.rank{shard}.safetensors"] = save(pieces, metadata=head)
    shapes = {
        name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
        for name, tensor in tensors.items()
    }
    metadata = {
        "format": "sharded_lora",
        "version": 1,
        "step": int(folder.name.rpartition("-")[2]),
        "num_shards": shards,
        "world_size": shards,
        "mesh": {"replicate": 1, "shard": shards},
        "global_batch": 8,
        "mode": "lite",
        "metric": 1.25,
        "tensors": shapes,
        "optimizer_tensors": {},
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in files.items()
        },
        "slurmkit": "0.1.0",
        "time": 1.7e9,
    }
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "metadata.json").write_text(json.dumps(metadata | more))
    return folder


def _cut(tensor: Tensor, shard: int, shards: int, at: int) -> tuple[Tensor, list[int]]:
    if tensor.ndim == 0:
        return (tensor, []) if shard == 0 else (tensor.new_empty(0), [])
    each = -(-tensor.shape[at] // shards)
    begin = min(shard * each, tensor.shape[at])
    piece = tensor.narrow(at, begin, min(each, tensor.shape[at] - begin))
    return piece, [begin if dim == at else 0 for dim in range(tensor.ndim)]
