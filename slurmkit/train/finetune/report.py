"""What the fine-tuning job tells while it runs: its logs, events, and lines for people."""

from __future__ import annotations

import json
import resource
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from slurmkit.train import events, metrics
from slurmkit.train.steplog import RankRow, Steps, train_row

if TYPE_CHECKING:
    from pathlib import Path

    from slurmkit.train.checkpoint import Saved
    from slurmkit.train.control import Control
    from slurmkit.train.evaluate import Evaluation
    from slurmkit.train.experts import ExpertUsage
    from slurmkit.train.finetune.plan import Plan
    from slurmkit.train.finetune.step import Taken
    from slurmkit.train.metrics import Metrics
    from slurmkit.train.progress import Progress


@dataclass
class Reporter:
    """Collects from all ranks what a row of a log needs; rank 0 writes it down."""

    plan: Plan
    control: Control
    metrics: Metrics
    progress: Progress | None
    """On rank 0 only."""
    experts: ExpertUsage | None
    every: int
    """Steps between rows."""
    peak_tflops: float | None
    row: dict[str, Any] = field(default_factory=dict)
    """The last row of train_log."""
    _unwritten: list[Taken] = field(default_factory=list)
    _warned: bool = False

    def begin(self, step: int, directory: Path, lost: Lost | None) -> None:
        """Tell what is going to be done, and what is done again."""
        self._record("resumed" if step else "began", step=step, **(asdict(lost) if lost else {}))
        self.say(f"{self.plan}; files in {directory}")
        if lost and lost.steps and not step:
            self.say(f"no checkpoint yet: {lost.steps} steps, {lost.seconds:.0f} s, are lost")
        if step:
            again = (
                f"; {lost.steps} steps, {lost.seconds:.0f} s, have to be taken again"
                if lost and lost.steps
                else ""
            )
            self.say(f"continues from the checkpoint of step {step}{again}")

    def step(self, step: int, taken: Taken) -> None:
        """Note a step; every `every` steps, and after the last, write a row."""
        self._unwritten.append(taken)
        if step % self.every == 0 or step == self.plan.total_steps:
            self.flush(step)

    def flush(self, step: int) -> None:
        """Write a row of the steps that have none yet; a later run will know nothing of them."""
        steps, self._unwritten = self._unwritten, []
        if not steps:
            return
        mine = RankRow(
            loss_sum=sum(taken.loss_sum for taken in steps),
            tokens=sum(taken.tokens for taken in steps),
            flops=sum(taken.flops for taken in steps),
            seconds=sum(taken.seconds for taken in steps),
            wait=sum(taken.wait for taken in steps),
            peak_memory=_peak_memory(),
        )
        rows = [RankRow(*row) for row in self.control.rows(astuple(mine))]
        last = Steps(
            step=step,
            epoch=self.plan.position(step) / self.plan.samples,
            supervised=sum(taken.supervised for taken in steps),
            learning_rate=steps[-1].learning_rate,
            grad_norm=steps[-1].grad_norm,
            count=len(steps),
        )
        self.row = row = train_row(last, rows, self.peak_tflops)
        self.metrics.write(metrics.TRAIN, row)
        if self.progress is not None:
            self.progress.step(row)
        self._write_experts(step)

    def _write_experts(self, step: int) -> None:
        if self.experts is None:
            return
        try:
            row = self.experts.read(self.control)
        except ValueError as error:  # the same on all ranks; it is no reason to end a training
            self.say(f"no expert usage from here on: {error}")
            self.experts = None
            return
        self.metrics.write(metrics.EXPERTS, {"step": step, **row})

    def evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Write a row of eval_log."""
        row = {
            "step": step,
            "loss": evaluation.loss,
            "perplexity": evaluation.perplexity,
            "tokens": evaluation.tokens,
            "seconds": evaluation.seconds,
        }
        self.metrics.write(metrics.EVAL, row)
        self.say(
            f"evaluation at step {step}: loss {evaluation.loss:.4f}, perplexity "
            f"{evaluation.perplexity:.3f}, {evaluation.tokens:,} tokens, {evaluation.seconds:.1f} s"
        )

    def stopping(self, step: int, reason: str) -> None:
        """Tell that the job leaves before its end."""
        self._record("signalled", step=step, reason=reason)
        self.say(f"asked to stop ({reason}): saving at step {step} of {self.plan.total_steps}")

    def saved(self, step: int, saved: Saved) -> None:
        """Tell of a checkpoint, or why there is none."""
        if saved.path is None:
            self._record("not_checkpointed", step=step, reason=saved.error)
            self.say(f"NO checkpoint at step {step}: {saved.error}")
            return
        self._record("checkpointed", step=step, seconds=round(saved.seconds, 3))
        size = saved.bytes / 2**20
        self.say(f"saved {saved.path.name}: {size:.1f} MiB in {saved.seconds:.2f} s")

    def end(self, step: int, reason: str | None) -> None:
        """Tell that the job leaves, and close the logs."""
        self._record("ended", step=step, state="stopped" if reason else "done", reason=reason)
        self.metrics.close()
        if self.progress is not None:
            self.progress.close()

    def warn_once(self, text: str | None) -> None:
        """Say a warning, the first time that there is one."""
        if text and not self._warned:
            self._warned = True
            self.say(f"warning: {text}")

    def say(self, text: str) -> None:
        """Say a line; rank 0 does."""
        if self.progress is not None:
            self.progress.say(text)

    def _record(self, event: str, **fields: Any) -> None:
        if self.control.rank == 0:
            events.record(event, **fields)


def _peak_memory() -> float:
    """Return the most bytes that tensors had of the GPU; without one, that this process had."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


@dataclass(frozen=True)
class Lost:
    """Work of an earlier run of the job that no checkpoint holds."""

    steps: int
    """Optimizer steps that have to be taken again."""
    seconds: float
    """What they took."""


def lost_work(directory: Path, step: int) -> Lost:
    """Return what the logs tell of steps behind `step`, before they are cut. For rank 0."""
    newest, seconds = step, 0.0
    with suppress(OSError):
        for line in (directory / "metrics" / f"{metrics.TRAIN}.jsonl").read_bytes().splitlines():
            with suppress(ValueError, TypeError, KeyError):
                row = json.loads(line)
                if row["step"] > newest:
                    seconds += (row["step"] - newest) * row["step_time"]
                    newest = row["step"]
    return Lost(newest - step, round(seconds, 3))
