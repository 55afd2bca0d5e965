"""An optimizer's tensors by the names of their parameters, to be saved or filled in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def optimizer_tensors(
    parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Return an optimizer's state: for AdamW, NAME.exp_avg, NAME.exp_avg_sq and NAME.step.

    A parameter that was never updated gets zeros, as it would have in its first update; so a new
    optimizer can be filled from a checkpoint.

    Args:
        parameters: the model's, by name; those that the optimizer does not have are passed over.
        optimizer: any whose state is tensors alone.

    Returns:
        The state itself, no copy: what is written into these tensors, the optimizer sees.

    Raises:
        ValueError: the optimizer has a parameter without a name, or a state that is no tensor.
    """
    names = {id(tensor): name for name, tensor in parameters.items()}
    owned = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    trained = [tensor for tensor in owned if tensor.requires_grad]
    _begin(optimizer, [tensor for tensor in trained if not optimizer.state.get(tensor)])
    found = {}
    for tensor in trained:
        if id(tensor) not in names:
            raise ValueError(
                f"the optimizer has a parameter of shape {list(tensor.shape)} that the model has "
                "not: give the model whose parameters it was made with"
            )
        for key, value in optimizer.state[tensor].items():
            if isinstance(value, torch.Tensor):
                found[f"{names[id(tensor)]}.{key}"] = value
            elif value is not None:
                raise ValueError(
                    f"{type(optimizer).__name__} holds {key} = {value!r} of {names[id(tensor)]}: "
                    "only tensors can be saved"
                )
    return found


def _begin(optimizer: torch.optim.Optimizer, tensors: list[Tensor]) -> None:
    """Make the state of parameters that have none, by an update that changes nothing.

    An optimizer makes its state in its first update, and only for parameters with a gradient; a
    learning rate of zero leaves them as they are. torch.distributed.checkpoint.state_dict does so.
    """
    if not tensors:
        return
    owned = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    gradients = [tensor.grad for tensor in owned]
    rates = [group["lr"] for group in optimizer.param_groups]
    new = set(map(id, tensors))
    try:
        for tensor in owned:
            tensor.grad = torch.zeros_like(tensor) if id(tensor) in new else None
        for group in optimizer.param_groups:
            group["lr"] = _zero(group["lr"])
        optimizer.step()
    finally:
        for tensor, gradient in zip(owned, gradients, strict=True):
            tensor.grad = gradient
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
    for tensor in tensors:
        for value in optimizer.state[tensor].values():
            if isinstance(value, torch.Tensor):
                value.zero_()


def _zero(rate: Any) -> Any:
    return torch.zeros_like(rate) if isinstance(rate, torch.Tensor) else 0.0
