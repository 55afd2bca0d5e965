"""The training loop: steps, evaluations and checkpoints, until done or asked to stop."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmkit.train import stop
from slurmkit.train.end_time import end_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurmkit.train.evaluate import Evaluation
    from slurmkit.train.finetune.config import TrainingConfig
    from slurmkit.train.finetune.keeper import Keeper
    from slurmkit.train.finetune.plan import Plan
    from slurmkit.train.finetune.report import Reporter
    from slurmkit.train.finetune.step import Stepper

GRACE = 30.0
"""Seconds from TERM to KILL: torchrun's `--shutdown-timeout` and Slurm's KillWait by default."""
EVALUATION_SECONDS = 10.0
"""About how long an evaluation goes on when the job is asked to stop."""


@dataclass
class Loop:
    """Trains from `step` on."""

    config: TrainingConfig
    plan: Plan
    stepper: Stepper
    keeper: Keeper
    reporter: Reporter
    evaluate: Callable[[Callable[[int], bool]], Evaluation | None]
    step: int = 0
    """Optimizer steps taken."""
    evaluation: Evaluation | None = field(default=None, init=False)
    """The last one."""
    _step_seconds: float = field(default=0.0, init=False)
    _evaluated_at: int | None = field(default=None, init=False)
    _heard_at: float | None = field(default=None, init=False)

    def run(self) -> str | None:
        """Train; return why it was asked to stop, or None when all steps are taken.

        Before it returns, it has saved.
        """
        begin = self.step
        if self.step >= self.plan.total_steps:  # done before; the logs tell of it
            self.evaluation = self.evaluate(self._stops_evaluation)
        while self.step < self.plan.total_steps:
            ready = self.stepper.prepare(self.step)
            taken = None if ready.stop else self.stepper.take(self.step, ready, self._hurried)
            if taken is None:
                return self._leave(ready.stop)
            self.step += 1
            self._step_seconds = taken.seconds
            self.reporter.step(self.step, taken)
            self._evaluate_and_save()
            if self.step > begin + 1:  # the first step is none to measure by
                needed = self._step_seconds, self.keeper.seconds
                self.reporter.warn_once(stop.warn_if_short(stop.lead_time(), *needed))
        return None

    def _evaluate_and_save(self) -> None:
        last = self.step == self.plan.total_steps
        if last or self._is_due(self.config.eval_steps):
            self.evaluation = self.evaluate(self._stops_evaluation)
            self._evaluated_at = self.step
            if self.evaluation is not None:
                self.reporter.evaluation(self.step, self.evaluation)
        if last or self._is_due(self.config.save_steps):
            self._save()

    def _leave(self, reason: str | None) -> str:
        if reason is None:  # in the midst of a step, which was given up
            reason = self.stepper.prepare(self.step).stop or "SIGTERM"
        self.reporter.stopping(self.step, reason)
        self._save()
        return reason

    def _save(self) -> None:
        fresh = self.evaluation if self._evaluated_at == self.step else None
        metric = fresh.loss if fresh else None
        self.reporter.flush(self.step)
        self.reporter.metrics.sync()
        saved = self.keeper.save(self.step, metric)
        if saved is not None:
            self.reporter.saved(self.step, saved)

    def _is_due(self, every: int | None) -> bool:
        return every is not None and self.step % every == 0

    def _stops_evaluation(self, number: int) -> bool:
        """Agree between batches, about every ten seconds, whether some rank is asked to stop."""
        row = self.reporter.row  # the same on all ranks, and so is what follows from it
        batch_seconds = row.get("step_time", 0.0) / self.plan.accumulation
        if number % max(1, round(EVALUATION_SECONDS / max(batch_seconds, 1e-3))):
            return False
        return any(self.stepper.control.sum([float(stop.heard() > 0)]))

    def _hurried(self, share: float) -> bool:
        """Tell whether this rank is asked to stop, and would be killed before the step's end."""
        if not stop.heard():
            return False
        now = time.time()
        self._heard_at = self._heard_at or now
        deadline = (end_time() or math.inf) - GRACE
        if stop.terminated():
            deadline = min(deadline, self._heard_at + GRACE)
        rest = self._step_seconds * (1 - share) + self.keeper.seconds
        return now + rest > deadline
