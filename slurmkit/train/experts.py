"""Which experts a mixture's routers chose: exact counts, one reduction a log interval.

A hook on each router adds the *chosen* experts of each real token to a counter on the device. The
router's logits would not do: a correction bias and groups decide beside them.

Example::

    usage = ExpertUsage.of(model)  # None: no mixture of experts
    with usage.counting(batch.valid):
        loss = summed(model, batch, chunk)
    loss.backward()
    row = usage.read(control)
"""

from __future__ import annotations

import math
import re
import statistics
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slurmkit.train.control import Control

_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")


class ExpertUsage:
    """The counters of a model's routers, on this rank."""

    def __init__(self, routers: dict[int, Any], device: torch.device) -> None:
        """Put the hooks in place. `of` finds the routers.

        Args:
            routers: by layer.
            device: where they compute.
        """
        self._routers = routers
        self._sizes = [int(router.num_experts) for router in routers.values()]
        self._counts = torch.zeros(sum(self._sizes), dtype=torch.int64, device=device)
        self._tokens = torch.zeros(1, dtype=torch.int64, device=device)
        self._weights = torch.zeros(0, dtype=torch.int64, device=device)
        for router, counts in zip(
            routers.values(), torch.split(self._counts, self._sizes), strict=True
        ):
            router.register_forward_hook(self._hook(counts))

    @classmethod
    def of(cls, model: torch.nn.Module) -> ExpertUsage | None:
        """Return the counters of a model of transformers; None where it has no routers.

        A router is a module with `num_experts`, `top_k` and a row of weights for each expert. It
        must return the chosen experts as integers, [tokens, top_k], alone or among other things:
        so do those of Glm4Moe, Mixtral, Qwen3Moe, DeepseekV3, GptOss and most others.
        """
        routers = {}
        for name, module in model.named_modules():
            layer = _LAYER.search(name)
            if layer and _is_router(module):
                routers[int(layer[1])] = module
        return cls(routers, next(model.parameters()).device) if routers else None

    @contextmanager
    def counting(self, valid: torch.Tensor) -> Iterator[None]:
        """Count what is chosen in the block: one forward of the model.

        Not counted is what runs outside: evaluations, and what activation checkpointing computes
        again in backward.

        Args:
            valid: Bool[B, T]; false for padding, which is routed too, and means nothing.
        """
        self._weights = valid.flatten().to(torch.int64)
        self._tokens += self._weights.sum()
        try:
            yield
        finally:
            # No flag that the hook would ask: a compiled layer must do the same when it is
            # computed again.
            self._weights = torch.zeros_like(self._weights)

    def read(self, control: Control) -> dict[str, Any]:
        """Return what all ranks have counted since the last reading: a row of `expert_usage`.

        A collective. The row has `tokens`; the means over the layers of `cv` and `entropy` and the
        sum of `dead_experts` (see `usage`); and `layers`, with the same for each, and its `counts`.

        Raises:
            ValueError: a router has not told all that it chose.
        """
        tokens, *counts = map(int, control.sum([*self._tokens.tolist(), *self._counts.tolist()]))
        self._tokens.zero_()
        self._counts.zero_()
        layers = []
        for (layer, router), size in zip(self._routers.items(), self._sizes, strict=True):
            mine, counts = counts[:size], counts[size:]
            if sum(mine) != tokens * router.top_k:
                raise ValueError(
                    f"layer {layer}: {type(router).__name__} told {sum(mine)} choices of experts "
                    f"for {tokens} tokens, instead of {router.top_k} each: set "
                    "`logging.expert_usage: false` for this model"
                )
            layers.append({"layer": layer, **usage(mine), "counts": mine})
        return {
            "tokens": tokens,
            "cv": statistics.fmean(layer["cv"] for layer in layers),
            "entropy": statistics.fmean(layer["entropy"] for layer in layers),
            "dead_experts": sum(layer["dead_experts"] for layer in layers),
            "layers": layers,
        }

    def mark(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return where the counters are, for `rewind`."""
        return self._counts.clone(), self._tokens.clone()

    def rewind(self, mark: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Forget what was counted since then, for a step that is not taken."""
        self._counts.copy_(mark[0])
        self._tokens.copy_(mark[1])

    def _hook(self, counts: torch.Tensor) -> Callable[..., None]:
        def count(_router: torch.nn.Module, _args: Any, output: Any) -> None:
            chosen = _chosen(output)
            if chosen is None or chosen.shape[0] != self._weights.numel():
                return
            weights = self._weights.unsqueeze(1).expand_as(chosen)
            counts.scatter_add_(0, chosen.flatten().to(torch.int64), weights.flatten())

        return count


def usage(counts: Sequence[int]) -> dict[str, Any]:
    """Return how evenly a layer's experts were used.

    Args:
        counts: how often each was chosen.

    Returns:
        `cv`, the coefficient of variation (standard deviation by mean): 0 is even. `entropy` of
        the choices by that of even ones: 1 is even, 0 is one expert for all. `dead_experts`, how
        many were never chosen. NaN, where nothing was.
    """
    total = sum(counts)
    if total == 0:
        return {"cv": math.nan, "entropy": math.nan, "dead_experts": len(counts)}
    shares = [count / total for count in counts if count]
    entropy = -sum(share * math.log(share) for share in shares) / math.log(max(len(counts), 2))
    return {
        "cv": statistics.pstdev(counts) / statistics.fmean(counts),
        "entropy": entropy,
        "dead_experts": counts.count(0),
    }


def _is_router(module: torch.nn.Module) -> bool:
    experts, weight = getattr(module, "num_experts", None), getattr(module, "weight", None)
    return (
        isinstance(experts, int)
        and isinstance(getattr(module, "top_k", None), int)
        and isinstance(weight, torch.Tensor)
        and weight.shape[0] == experts
    )


def _chosen(output: Any) -> torch.Tensor | None:
    """Return the integers among what a router gave: [tokens, top_k]."""
    for each in output if isinstance(output, tuple) else (output,):
        if isinstance(each, torch.Tensor) and each.ndim == 2 and not each.is_floating_point():
            return each
    return None
