"""A tiny model under accelerate, on CPU or GPU. It knows nothing of Slurm."""

from __future__ import annotations

import gc

import torch
from accelerate import Accelerator

accelerator = Accelerator()
rows = torch.utils.data.TensorDataset(torch.arange(32.0).reshape(32, 1))
loader = torch.utils.data.DataLoader(rows, batch_size=2)
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)

seen = 0
for (batch,) in loader:
    accelerator.backward(model(batch).float().pow(2).mean())
    optimizer.step()
    optimizer.zero_grad()
    seen += len(batch)

mine = torch.tensor([accelerator.process_index], device=accelerator.device)
weight = accelerator.unwrap_model(model).weight.detach()
ranks, weights = accelerator.gather(mine).tolist(), accelerator.gather(weight).flatten().tolist()
print(
    f"rank {accelerator.process_index}/{accelerator.num_processes} "
    f"local rank {accelerator.local_process_index} in {accelerator.mixed_precision}: saw {seen} "
    f"rows, gathered {ranks}, {len(set(weights))} set of weights",
    flush=True,
)
# torch 2.13 may abort at the end of a process that still has a DDP model on gloo, and a collector
# that comes later still has it.
model, optimizer, loader = accelerator.free_memory(model, optimizer, loader)
gc.collect()
accelerator.wait_for_everyone()
accelerator.end_training()
