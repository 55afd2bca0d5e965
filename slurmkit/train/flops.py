"""How much arithmetic a token costs in training, counted from the model.

A weight of N that is multiplied with each token costs 2N FLOP forward and 2N backward for the
gradient of its input, and 2N more for its own gradient if it is trained (Kaplan et al. 2020,
section 2.1, https://arxiv.org/abs/2001.08361). So a full training costs 6N a token; with LoRA the
frozen weights cost 4N, and only the adapters' own 6N. N are the *active* weights: of a mixture
of experts the router, the shared experts and the chosen ones; the head, but no embedding, which
is looked up.

Attention multiplies each query with keys and values: 2 x heads x (query width + value width) a
pair forward, twice that backward. A causal document of T tokens has T x T / 2 pairs. The term
12 x layers x heads x width x T of PaLM (appendix B, https://arxiv.org/abs/2204.02311) counts all
T x T of them.

GLM-4.5-Air, 16,384 tokens: 4 x 12.80e9 + 55.6e9 = 106.8 GFLOP a token, and 0.2 for an adapter of
rank 16. 6N with PaLM's attention says 188, 1.76 times as much.

What activation checkpointing computes twice is not counted: it is a price, no use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Flops:
    """What training costs, forward and backward."""

    weights: float
    """FLOP a token."""
    attention: float
    """FLOP a token, by each token of its document's length."""

    @classmethod
    def count(cls, model: torch.nn.Module) -> Flops:
        """Count a causal language model of transformers; plain, sharded, or on meta.

        Layers that look at a part of the document only (sliding windows, linear attention) are
        taken for full attention.

        Args:
            model: with its adapters, if any; `requires_grad` says what is trained.
        """
        config = _text_config(model)
        weights = sum(
            active * (6 if parameter.requires_grad else 4)
            for active, parameter in _multiplied(model, config)
        )
        attention = 3 * config.num_hidden_layers * config.num_attention_heads * _widths(config)
        return cls(weights, attention)

    def per_token(self, length: int) -> float:
        """Return FLOP a token in documents of `length` tokens."""
        return self.weights + self.attention * length

    def of(self, tokens: float, squares: float) -> float:
        """Return FLOP of documents: of their tokens, and of the squares of their lengths."""
        return self.weights * tokens + self.attention * squares


def squares(valid: torch.Tensor, position_ids: torch.Tensor | None) -> torch.Tensor:
    """Return the sum of the squares of the documents' lengths in a batch, as one number there.

    A document of T tokens has the positions 0 to T - 1, and 1 + 3 + 5 + … + (2T - 1) is T x T.

    Args:
        valid: Bool[B, T]; false for padding.
        position_ids: Long[B, T] that begin at 0 with each document; None: one document a row.
    """
    if position_ids is None:
        position_ids = torch.arange(valid.shape[1], device=valid.device).expand_as(valid)
    return ((2 * position_ids + 1) * valid).sum()


def _multiplied(model: torch.nn.Module, config: Any) -> Iterator[tuple[float, torch.nn.Parameter]]:
    """Yield each matrix, and how many of its elements a token is multiplied with."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Embedding):
            continue
        for own, parameter in module.named_parameters(recurse=False):
            if parameter.ndim < 2 or "bias" in own:
                continue
            active = float(parameter.numel())
            if "experts" in name.split("."):  # [experts, …, …], of which a token has some
                active *= config.num_experts_per_tok / parameter.shape[0]
            yield active, parameter


def _widths(config: Any) -> int:
    """Return the width of a head's queries and of its values, together."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    values = getattr(config, "v_head_dim", None) or width  # differs in latent attention
    return int((getattr(config, "qk_head_dim", None) or width) + values)


def _text_config(model: torch.nn.Module) -> Any:
    config: Any = model.config
    return config.get_text_config()
