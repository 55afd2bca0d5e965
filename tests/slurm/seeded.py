"""A small seeded DDP training, of which every bit is settled by its config. Copied beside jobs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any


def main(config: Mapping[str, Any]) -> dict[str, Any]:
    """Train; return the losses of all steps and the weights, each as the hexadecimal float."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    from slurmkit.train.distributed import distributed

    with distributed() as world:
        torch.manual_seed(config["seed"])
        torch.use_deterministic_algorithms(True)
        layers = torch.nn.Sequential(
            torch.nn.Linear(16, 64), torch.nn.GELU(), torch.nn.Linear(64, 1)
        )
        model = DistributedDataParallel(layers)
        optimizer = torch.optim.AdamW(model.parameters(), lr=config["learning_rate"])
        data = torch.Generator().manual_seed(config["seed"] * 1000 + world.rank)
        losses = []
        for _ in range(config["steps"]):
            inputs = torch.randn(32, 16, generator=data)
            loss = (model(inputs) - inputs.sin().sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mean = loss.detach().clone()
            dist.all_reduce(mean)
            losses.append(float(mean / world.world_size).hex())
        weights = [float(p.detach().double().sum()).hex() for p in layers.parameters()]
        del model, optimizer
    return {
        "losses": losses,
        "weights": weights,
        "world_size": world.world_size,
        "threads": os.environ["OMP_NUM_THREADS"],
        "ways": os.environ.get("SUBMITIT_EXECUTOR", "launcher"),
    }


if __name__ == "__main__":
    from slurmkit.train.entrypoint import run

    sys.exit(run(main, "seeded"))
