"""Learning rates and clipping."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from transformers import get_scheduler

from slurmkit.train.distributed import World
from slurmkit.train.finetune.config import TrainingConfig
from slurmkit.train.finetune.optimizer import clip, learning_rate
from tests.train import world


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 3])
def test_learning_rates_are_those_of_transformers(kind: str, warmup: int) -> None:
    config = TrainingConfig.model_validate(
        {"lr_scheduler_type": kind, "warmup_steps": warmup, "learning_rate": 0.1}
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    name = "constant_with_warmup" if kind == "constant" else kind
    theirs = get_scheduler(name, optimizer, warmup, 11)
    for step in range(11):
        assert learning_rate(step, 11, config) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_warmup_as_a_share_of_all_steps() -> None:
    config = TrainingConfig(warmup_ratio=0.25, learning_rate=1.0)
    assert [learning_rate(step, 10, config) for step in range(4)] == pytest.approx(
        [0, 1 / 3, 2 / 3, 1]
    )
    assert learning_rate(10, 10, config) == pytest.approx(0)


def _clipped(here: World, shapes: list[tuple[int, int]]) -> list[tuple[float, Any]]:
    found = []
    for shape in shapes:
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard"))
        parameters = []
        for rows in (7, 2, 16):  # over four shards: uneven, with empty ones, even
            whole = torch.arange(rows * 3.0).reshape(rows, 3)
            spread = [Replicate(), Shard(0)]
            parameter = torch.nn.Parameter(
                distribute_tensor(torch.zeros(rows, 3), mesh, spread, src_data_rank=None)
            )
            parameter.grad = distribute_tensor(whole, mesh, spread, src_data_rank=None)
            parameters.append(parameter)
        norm = clip(parameters, 5.0)  # type: ignore[arg-type]
        grads: list[Any] = [parameter.grad for parameter in parameters]
        found.append((float(norm), [each.full_tensor().numpy().copy() for each in grads]))
    return found


def test_the_norm_is_that_of_the_whole_gradient_on_any_mesh() -> None:
    wholes = [torch.arange(rows * 3.0).reshape(rows, 3) for rows in (7, 2, 16)]
    norm = float(torch.cat([each.flatten() for each in wholes]).double().norm())
    for answer in world.run(4, _clipped, [(1, 4), (2, 2), (4, 1)]):
        for found, gradients in answer:
            assert found == pytest.approx(norm, rel=1e-7)
            for gradient, whole in zip(gradients, wholes, strict=True):
                assert gradient == pytest.approx(whole.numpy() * 5 / norm, rel=1e-6)
