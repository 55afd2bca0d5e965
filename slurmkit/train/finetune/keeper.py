"""What a checkpoint of the fine-tuning job holds, and how the job continues from one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.train.checkpoint import (
    CheckpointError,
    Contents,
    optimizer_tensors,
    rng_state,
    set_rng_state,
)
from slurmkit.train.checkpoint.metadata import folder_name
from slurmkit.train.config_file import ConfigError

if TYPE_CHECKING:
    import torch

    from slurmkit.train.checkpoint import Checkpoints, Saved
    from slurmkit.train.finetune.config import TrainingConfig
    from slurmkit.train.finetune.model import Built
    from slurmkit.train.finetune.plan import Plan


@dataclass
class Keeper:
    """Saves checkpoints, and reads them back; every rank calls it at the same step."""

    config: TrainingConfig
    plan: Plan
    built: Built
    optimizer: torch.optim.Optimizer
    checkpoints: Checkpoints
    files: dict[str, bytes]
    """Written into each checkpoint: the tokenizer, adapter_config.json."""
    fingerprint: str
    """Of the training data: a position in other data means nothing."""
    lora_alpha: int
    """Scales the adapter: with another one, the same weights are another adapter."""
    attempt: int
    """How often this job was started before."""
    seconds: float = field(default=0.0, init=False)
    """What the last save took."""
    newest: Path | None = field(default=None, init=False)
    """The newest checkpoint."""

    def save(self, step: int, metric: float | None) -> Saved | None:
        """Save; return what came of it, or None if this step is saved already.

        Args:
            step: optimizer steps taken.
            metric: the loss of an evaluation at this step.

        Raises:
            CheckpointError: it failed on some rank, and `when_save_fails` is stop.
        """
        if self.newest is not None and self.newest.name == folder_name(step):
            return None
        contents = self._contents(step, full=self.config.checkpoint_mode == "full")
        saved = self.checkpoints.save(step, contents, metric=metric)
        self.seconds = saved.seconds
        self.newest = saved.path or self.newest
        return saved

    def resume(self) -> int:
        """Fill weights, optimizer and random numbers from a checkpoint; return its step, or 0.

        Raises:
            ConfigError: the checkpoint is of other data, not whole, or none at all.
        """
        try:
            path = self._chosen()
            if path is None:
                return 0
            loaded = self.checkpoints.load(path, self._contents(0, full=True))
        except CheckpointError as error:
            raise ConfigError(f"`training.resume: {self.config.resume}`: {error}") from error
        state = loaded.state
        if state is None:
            raise ConfigError(
                f"{path} was saved with `checkpoint_mode: lite`, and holds the adapter only: "
                "set `training.resume: never` to begin anew, and `checkpoint_mode: full` to be "
                "able to continue"
            )
        self._check(path, state)
        self.plan = self.plan.resumed(self.config, state["global_batch"])
        if loaded.rank_state is not None:
            set_rng_state(loaded.rank_state)
        self.newest = path if path.parent == self.checkpoints.directory else None
        return int(loaded.step)

    def _chosen(self) -> Path | None:
        if self.config.resume == "never":
            return None
        if self.config.resume == "auto":
            return self.checkpoints.newest()
        named = Path(self.config.resume).expanduser().absolute()
        # A job that was requeued or restarted has begun there before, and goes on with its own.
        return (self.checkpoints.newest() if self.attempt else None) or named

    def _contents(self, step: int, *, full: bool) -> Contents:
        return Contents(
            model=dict(self.built.trainable),
            optimizer=optimizer_tensors(self.built.trainable, self.optimizer) if full else None,
            state=self._state(step) if full else None,
            rank_state=rng_state() if full else None,
            files=self.files,
            global_batch=self.plan.global_batch,
        )

    def _state(self, step: int) -> dict[str, Any]:
        return {
            "step": step,
            "position": self.plan.position(step),
            "global_batch": self.plan.global_batch,
            "total_steps": self.plan.total_steps,
            "seed": self.config.seed,
            "samples": self.plan.samples,
            "data": self.fingerprint,
            "lora_alpha": self.lora_alpha,
        }

    def _check(self, path: Path, state: dict[str, Any]) -> None:
        mine = self._state(0)
        for name in ("seed", "samples", "data", "lora_alpha"):
            if state[name] != mine[name]:
                raise ConfigError(
                    f"{path} belongs to another run ({name}: {state[name]}, now {mine[name]}), "
                    "which this one cannot continue: undo the change, or set "
                    "`training.resume: never`"
                )
