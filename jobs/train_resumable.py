"""Trains through time limits and preemption: slurmkit.train is in it five times."""

import argparse
import os
import time
from pathlib import Path

import torch

from slurmkit.train import checkpoint, distributed, stop

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=40)
parser.add_argument("--seconds", type=float, default=0.1, help="of a step")
given = parser.parse_args()
folder = Path(os.environ["SLURMKIT_RUN_DIR"], "checkpoints")


def train(world):
    """Train from the newest checkpoint on, to the end or until asked to stop."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Dropout(), torch.nn.Linear(32, 1))
    model = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    state = checkpoint.resume(folder, model, optimizer) or {"step": 0}
    for step in range(state["step"], given.steps):
        stopping = stop.requested()  # the same answer on all ranks
        if stopping or step % 10 == 0:
            checkpoint.save(folder, step, model, optimizer)
        if stopping:
            return
        data = torch.Generator().manual_seed(step * world.world_size + world.rank)
        inputs = torch.randn(16, 8, generator=data)
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(given.seconds)
        if world.rank == 0:
            print(f"step {step} loss {loss.item():.9f}", flush=True)


with distributed.distributed() as world:
    train(world)
