"""Checks of what goes wrong in silence when a sharded model gets adapters.

Each failure here has been seen to train on without an error, and to train something else.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from slurmkit.train.checkpoint import Place
    from slurmkit.train.control import Control


def loaded(causal: nn.Module) -> None:
    """Assert that a model was read as it was meant to be.

    No tensor is left on the meta device, no buffer holds what was in memory before, rotary
    frequencies are those of the model's config, and what has to be float32 is.
    """
    for name, tensor in _tensors(causal):
        assert not tensor.is_meta, f"{name} was never read: it is on the meta device"
    for name, buffer in causal.named_buffers():
        finite = torch.isfinite(buffer).all() if buffer.is_floating_point() else True
        assert finite, f"the buffer {name} holds garbage: it was made empty and never filled"
    strict = set(getattr(causal, "_keep_in_fp32_modules_strict", None) or ())
    for name, tensor in _tensors(causal):
        kept = "inv_freq" in name or strict.intersection(name.split("."))
        assert not kept or tensor.dtype == torch.float32, (
            f"{name} is {tensor.dtype} and has to be float32: load with from_pretrained(dtype=…); "
            "model.to(dtype) casts too much"
        )
    _check_frequencies(causal)


def adapters(
    model: nn.Module, trainable: Mapping[str, Tensor], place: Place, control: Control
) -> None:
    """Assert that the adapters are all that is trained, and that all ranks train the same ones.

    A collective.
    """
    saved = set(map(id, trainable.values()))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert "lora_" in name, f"{name} is trained, and is no adapter"
            assert isinstance(parameter, DTensor), (
                f"{name} is not sharded: each rank would train its own copy"
            )
            assert parameter.dtype == torch.float32, f"{name} is {parameter.dtype}, not float32"
            assert id(parameter) in saved, f"{name} is trained, but would not be saved"
    for name, module in model.named_modules():
        base = getattr(module, "base_layer", None)
        if isinstance(base, nn.Linear):
            layer: Any = module
            shape = layer.lora_A.default.in_features, layer.lora_B.default.out_features
            assert shape == (base.in_features, base.out_features), (
                f"the adapter of {name} has a shard's shape, not the whole module's: {shape}"
            )
    rows = control.texts(f"{place.shard} {digest(trainable)}")
    pieces = {row.split()[0] for row in rows}
    assert len(set(rows)) == len(pieces) == place.shards, (
        "the replicas hold different adapters: their gradients would be averaged all the same"
    )


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a checksum of the names and of this rank's pieces."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        piece = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        found.update(name.encode())
        found.update(piece.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_buffers()
    for name, parameter in module.named_parameters():
        yield name, parameter.to_local() if isinstance(parameter, DTensor) else parameter


def _check_frequencies(causal: nn.Module) -> None:
    """Compare rotary embeddings with new ones, made from the config they carry."""
    for name, module in causal.named_modules():
        config: Any = getattr(module, "config", None)
        if "RotaryEmbedding" not in type(module).__name__ or config is None:
            continue
        fresh = dict(type(module)(config).named_buffers())
        for key, buffer in module.named_buffers():
            same = torch.allclose(buffer.cpu(), fresh[key].cpu(), rtol=1e-5, atol=0)
            assert same, f"{name}.{key} is not what the model's config says: positions are wrong"
