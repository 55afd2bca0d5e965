"""The loss of a causal language model, summed over tokens, without all logits in memory at once.

At 16,384 tokens and 151,552 words the logits, their float32 copy and its gradient take 28 GiB.
Here the base model runs once; only hidden states with a label go on, some at a time. The gradient
with respect to them is computed at once, while their logits are there, so that backward need not
compute the logits a second time.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn.functional import cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

IGNORED = -100
"""Label of a token that is not to be learnt."""


class Labelled(Protocol):
    """What `summed` reads of a batch."""

    @property
    def input_ids(self) -> Tensor:
        """Tokens, int64 [samples, length]."""

    @property
    def labels(self) -> Tensor:
        """The same, or `IGNORED`; not shifted."""

    @property
    def position_ids(self) -> Tensor | None:
        """Positions, where they restart within a row."""


def summed(model: nn.Module, batch: Labelled, chunk: int) -> Tensor:
    """Return the sum of the losses of a batch's supervised tokens: float32, differentiable.

    No attention mask is given to the model: padding is on the right, where causal attention does
    not look, and a mask would undo the packing that restarted positions stand for.

    Args:
        model: a causal language model of transformers, as it is or within peft's wrapper.
        batch: its tokens; no label at all is fine, and gives 0.
        chunk: supervised tokens whose logits are held at a time; 0, or a model whose head is
            trained too or not to be told from its base: all logits, by the model's own forward.
    """
    causal = causal_model(model)
    inputs = {"input_ids": batch.input_ids, "use_cache": False}
    if batch.position_ids is not None:
        inputs["position_ids"] = batch.position_ids
    targets = batch.labels[:, 1:]
    supervised = targets != IGNORED
    if chunk and _head_is_apart(causal):
        with _replaced(causal, "forward", _forward(causal, targets, supervised, chunk)):
            return causal(**inputs)  # type: ignore[no-any-return]
    logits = causal(**inputs).logits[:, :-1][supervised]
    return cross_entropy(logits.float(), targets[supervised], reduction="sum")


def causal_model(model: nn.Module) -> nn.Module:
    """Return transformers' model itself, in which peft's layers sit, without peft's wrapper.

    FSDP's hooks run when a module is called. peft's wrapper calls some modules' `forward`.
    """
    inner = getattr(model, "get_base_model", None)
    return model if inner is None else inner()


def _head_is_apart(causal: Any) -> bool:
    head = causal.get_output_embeddings()
    if head is None or any(parameter.requires_grad for parameter in head.parameters()):
        return False
    return _calls_its_base(causal.__class__)


@cache
def _calls_its_base(model: Any) -> bool:
    """Tell whether a model's forward calls its base; OPT's, for one, calls a part of it."""
    try:
        source = inspect.getsource(inspect.unwrap(model.forward))
    except (OSError, TypeError):
        return False
    return f"self.{model.base_model_prefix}(" in source


def _forward(causal: Any, targets: Tensor, supervised: Tensor, chunk: int) -> Callable[..., Tensor]:
    """Return a forward for the causal model that gives the loss in place of logits.

    It runs inside of the model's own call, and of its head's: the hooks of both, FSDP's among
    them, see one forward as ever. Within the head's call its weights are whole.
    """
    head = causal.get_output_embeddings()

    def forward(**inputs: Any) -> Tensor:
        outputs = causal.base_model(**inputs)
        hidden = outputs.last_hidden_state[:, :-1][supervised]

        def loss(hidden: Tensor) -> Tensor:
            with _bare(head), _bare(causal.base_model):
                logits = _logits(causal, type(outputs))
                return _ChunkedLoss.apply(hidden, targets[supervised], logits, chunk)  # type: ignore[no-untyped-call, no-any-return]

        with _replaced(head, "forward", loss):
            return head(hidden)  # type: ignore[no-any-return]

    return forward


def _logits(causal: Any, outputs: type[Any]) -> Callable[[Tensor], Tensor]:
    """Return what the model does behind its base: [tokens, width] to [tokens, words].

    It is the model's own forward, in which the base answers with the given hidden states: caps
    and scales of logits, which many models have, are right by themselves.
    """

    def logits(hidden: Tensor) -> Tensor:
        def answer(*_: Any, **__: Any) -> Any:
            return outputs(last_hidden_state=hidden[None])

        words = torch.zeros(1, len(hidden), dtype=torch.long, device=hidden.device)
        with _replaced(causal.base_model, "forward", answer):
            found = type(causal).forward(causal, input_ids=words, use_cache=False)
        return found.logits[0]  # type: ignore[no-any-return]

    return logits


class _ChunkedLoss(torch.autograd.Function):
    """Sum of cross-entropies; its gradient with respect to the hidden states is found at once."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, targets: Tensor, logits: Callable[[Tensor], Tensor], chunk: int
    ) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wanted else None
        total = torch.zeros((), device=hidden.device)
        for first in range(0, len(hidden), chunk):
            rows = slice(first, first + chunk)
            piece = hidden[rows].detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                loss = cross_entropy(logits(piece).float(), targets[rows], reduction="sum")
            if gradient is not None:
                (gradient[rows],) = torch.autograd.grad(loss, piece)
            total += loss.detach()
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0], None, None, None


@contextmanager
def _bare(module: nn.Module) -> Iterator[None]:
    """Call a module without its hooks, and with the forward of its class."""
    with ExitStack() as stack:
        for name in ("_forward_pre_hooks", "_forward_hooks"):
            stack.enter_context(_replaced(module, name, OrderedDict()))
        own = type(module).forward.__get__(module)
        stack.enter_context(_replaced(module, "forward", own))
        yield


@contextmanager
def _replaced(module: nn.Module, name: str, value: object) -> Iterator[None]:
    """Give an instance another attribute for a while."""
    attributes = module.__dict__
    before = attributes.get(name)
    attributes[name] = value
    try:
        yield
    finally:
        if before is None:
            del attributes[name]
        else:
            attributes[name] = before
