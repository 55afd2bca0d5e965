"""Checkpoints of sharded training: each rank saves its piece, any number of ranks loads them.

Names are imported when they are first used: metadata is read without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slurmkit.train.checkpoint.checkpoints import Checkpoints
    from slurmkit.train.checkpoint.contents import Contents, Loaded, Saved
    from slurmkit.train.checkpoint.easy import place_of, resume, save
    from slurmkit.train.checkpoint.folders import Place
    from slurmkit.train.checkpoint.metadata import CheckpointError, Metadata
    from slurmkit.train.checkpoint.optimizer import optimizer_tensors
    from slurmkit.train.checkpoint.rng import rng_state, set_rng_state

_MODULES = {
    "CheckpointError": "metadata",
    "Checkpoints": "checkpoints",
    "Contents": "contents",
    "Loaded": "contents",
    "Metadata": "metadata",
    "Place": "folders",
    "Saved": "contents",
    "optimizer_tensors": "optimizer",
    "place_of": "easy",
    "resume": "easy",
    "rng_state": "rng",
    "save": "easy",
    "set_rng_state": "rng",
}
__all__ = [
    "CheckpointError",
    "Checkpoints",
    "Contents",
    "Loaded",
    "Metadata",
    "Place",
    "Saved",
    "optimizer_tensors",
    "place_of",
    "resume",
    "rng_state",
    "save",
    "set_rng_state",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        module = import_module(f"{__name__}.{_MODULES[name]}")
        return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
