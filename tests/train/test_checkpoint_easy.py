"""checkpoint.save and checkpoint.resume, as a script of one's own calls them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from slurmkit.train import checkpoint
from slurmkit.train.checkpoint import optimizer_tensors, place_of, rng_state, set_rng_state
from slurmkit.train.distributed import World
from tests.train import sharded, world


def made(kind: str, seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model: Any = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Dropout(0.5), nn.Linear(7, 1))
    if kind == "ddp":
        model = DistributedDataParallel(model)
    elif kind.startswith("fsdp"):
        fully_shard(model, mesh=sharded.mesh_of(4, replicas=int(kind[-1])))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimizer


def trained(here: World, kind: str, directory: Path) -> list[float]:
    """Six steps; then the last three again, from the checkpoint: equal to the bit."""

    def steps(first: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[float]:
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        losses = []
        for step in range(first, 6):
            if step == 3 and first == 0:
                saved = checkpoint.save(directory, 3, model, optimizer, {"epoch": 1})
                assert saved.path == directory / "checkpoint-3", saved
            torch_seeded = torch.randn(4, 5)
            loss = model(torch_seeded).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if step < 3:
                schedule.step()
            losses.append(loss.item())
        return losses

    model, optimizer = made(kind, seed=0)
    assert checkpoint.resume(directory, model, optimizer) is None
    torch.manual_seed(here.rank)
    losses = steps(0, model, optimizer)
    model, optimizer = made(kind, seed=9)
    assert checkpoint.resume(directory, model, optimizer) == {"step": 3, "epoch": 1}
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    again = steps(3, model, optimizer)
    assert again == losses[3:]
    return losses


@pytest.mark.parametrize("kind", ["ddp", "fsdp1", "fsdp2"])
def test_a_script_of_ones_own_continues_to_the_bit(kind: str, tmp_path: Path) -> None:
    world.run(4, trained, kind, tmp_path)


def test_without_any_process_group(tmp_path: Path) -> None:
    alone = World(0, 1, 0, 1, 0, "here", "gloo", torch.device("cpu"))
    trained(alone, "plain", tmp_path)


def places(here: World) -> checkpoint.Place:
    return place_of(sharded.sharded(sharded.truth(0), sharded.mesh_of(4, replicas=2)).values())


def test_the_place_is_read_off_the_tensors() -> None:
    found = world.run(4, places)
    assert [(each.shard, each.replica) for each in found] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert place_of([torch.zeros(2)]) == checkpoint.Place()


def test_a_new_optimizer_gets_its_state_and_nothing_moves() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5, weight_decay=0.5)
    before = model.weight.detach().clone()
    model.weight.grad = torch.ones_like(model.weight)
    found = optimizer_tensors(dict(model.named_parameters()), optimizer)
    assert sorted(found) == ["weight.exp_avg", "weight.exp_avg_sq", "weight.step"]
    assert not any(value.any() for value in found.values())
    assert torch.equal(model.weight, before)
    assert torch.equal(model.weight.grad, torch.ones_like(before))
    assert optimizer.param_groups[0]["lr"] == 0.5
    found["weight.step"].fill_(7)
    assert optimizer.state[model.weight]["step"] == 7


def test_states_that_cannot_be_saved_are_named() -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    with pytest.raises(ValueError, match=r"a parameter of shape \[2, 3\] that the model has not"):
        optimizer_tensors({}, optimizer)
    optimizer_tensors(dict(model.named_parameters()), optimizer)
    optimizer.state[model.weight]["step"] = 3
    with pytest.raises(ValueError, match="AdamW holds step = 3 of weight"):
        optimizer_tensors(dict(model.named_parameters()), optimizer)


@pytest.mark.parametrize("odd", [False, True])
def test_random_numbers_go_on(odd: bool) -> None:
    def draw() -> list[float]:
        return [random.gauss(), random.random(), np.random.normal(), torch.rand(1).item()]

    random.seed(0)
    np.random.seed(0)
    if odd:  # both have a second normal number in hand
        draw()
    state = {name: tensor.clone() for name, tensor in rng_state().items()}
    numbers = draw()
    set_rng_state(state)
    assert draw() == numbers
