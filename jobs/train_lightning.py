"""A tiny model under Lightning, on CPU. It knows of Slurm what Lightning knows, and no more."""

from __future__ import annotations

import argparse
import os
import time

import lightning
import torch


class Tiny(lightning.LightningModule):
    """One layer, and a pause at each step, so that there is time to interrupt it."""

    def __init__(self, seconds: float) -> None:
        """Make the layer."""
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        self.seconds = seconds

    def on_train_start(self) -> None:
        """Say which of how many this is, and where it starts."""
        world, local = self.trainer.world_size, self.local_rank
        step = self.global_step
        print(f"training: rank {self.global_rank}/{world} local rank {local} from step {step}")

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        """Give the loss."""
        print(f"step {self.global_step}")
        time.sleep(self.seconds)
        return self.layer(batch).pow(2).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Give the optimizer."""
        return torch.optim.SGD(self.parameters(), lr=1e-3)

    def on_train_end(self) -> None:
        """Say where it ended."""
        print(f"ended at step {self.global_step}")


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--seconds", type=float, default=0.1)
given = parser.parse_args()
trainer = lightning.Trainer(
    accelerator="cpu",
    devices=int(os.environ["LOCAL_WORLD_SIZE"]),
    num_nodes=int(os.environ["SLURM_JOB_NUM_NODES"]),
    strategy="ddp",
    max_steps=given.steps,
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
data = torch.utils.data.DataLoader(torch.randn(4 * given.steps, 4))
trainer.fit(Tiny(given.seconds), data)
if torch.distributed.is_initialized():  # gloo's threads may else abort a process at its very end
    torch.distributed.destroy_process_group()
