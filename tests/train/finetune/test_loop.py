"""When the loop saves, evaluates and leaves: with a stepper that only counts."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from slurmkit.train import stop
from slurmkit.train.finetune.config import TrainingConfig
from slurmkit.train.finetune.loop import GRACE, Loop
from slurmkit.train.finetune.plan import Plan
from slurmkit.train.finetune.step import Ready, Taken

PLAN = Plan(samples=100, global_batch=10, micro_batch=1, world_size=2, total_steps=10)


@dataclass
class Counter:
    """Takes steps of a given time, and is told to stop before one of them."""

    stop_before: int | None = None
    seconds: float = 1.0
    given_up: bool = False
    """Whether the step in which the request comes is given up."""
    taken: list[int] = field(default_factory=list)

    def prepare(self, step: int) -> Ready:
        late = self.stop_before is not None and step + self.given_up >= self.stop_before
        wanted = late and (not self.given_up or step + 1 in self.taken)
        return Ready([], 1, "SIGTERM" if wanted else None, 0.0)

    def take(self, step: int, _ready: Ready, _hurried: Any) -> Taken | None:
        self.taken.append(step + 1)
        if self.given_up and step + 1 == self.stop_before:
            return None
        return Taken(1.0, 1, 1, self.seconds, 0.0, 1.0, 1e-4, 1.0)


def loop(stepper: Counter, **config: Any) -> tuple[Loop, list[str]]:
    """Return a loop, and the list of what it does."""
    done: list[str] = []
    saved: set[int] = set()

    def save(step: int, metric: float | None) -> None:
        if step not in saved:
            done.append(f"save {step} {metric}")
            saved.add(step)

    def evaluate(_given_up: Any) -> Any:
        done.append("evaluate")
        return SimpleNamespace(loss=0.5)

    nothing: Any = SimpleNamespace(
        metrics=SimpleNamespace(sync=lambda: None),
        **dict.fromkeys(
            ("step", "flush", "evaluation", "stopping", "saved", "warn_once"), lambda *_: None
        ),
    )
    keeper: Any = SimpleNamespace(save=save, seconds=2.0)
    parts: dict[str, Any] = {"stepper": stepper, "keeper": keeper, "reporter": nothing}
    return Loop(TrainingConfig(**config), PLAN, **parts, evaluate=evaluate), done


def test_evaluates_and_saves_when_due_and_at_the_end() -> None:
    made, done = loop(Counter(), save_steps=4, eval_steps=5)
    assert made.run() is None
    assert done == ["save 4 None", "evaluate", "save 8 None", "evaluate", "save 10 0.5"]


def test_the_metric_of_a_checkpoint_is_that_of_its_own_step() -> None:
    made, done = loop(Counter(), save_steps=2, eval_steps=4)
    made.run()
    assert done[:4] == ["save 2 None", "evaluate", "save 4 0.5", "save 6 None"]


def test_saves_before_it_leaves() -> None:
    made, done = loop(Counter(stop_before=6), save_steps=4)
    assert made.run() == "SIGTERM"
    assert (made.step, done) == (6, ["save 4 None", "save 6 None"])


def test_a_step_that_is_given_up_is_not_taken() -> None:
    stepper = Counter(stop_before=7, given_up=True)
    made, done = loop(stepper)
    assert made.run() == "SIGTERM"
    assert stepper.taken == [1, 2, 3, 4, 5, 6, 7]
    assert (made.step, done) == (6, ["save 6 None"])


@pytest.mark.parametrize(
    ("step_seconds", "share", "hurried"),
    [(20.0, 0.5, False), (100.0, 0.5, True), (100.0, 0.9, False), (28.5, 0.0, True)],
)
def test_after_term_there_are_thirty_seconds(
    monkeypatch: pytest.MonkeyPatch, step_seconds: float, share: float, hurried: bool
) -> None:
    monkeypatch.setattr(stop, "heard", lambda: stop.REASONS.index("SIGTERM"))
    monkeypatch.setattr(stop, "terminated", lambda: True)
    made, _ = loop(Counter())
    made._step_seconds = step_seconds  # the rest of it and a save of 2 s
    assert made._hurried(share) is hurried


def test_before_the_time_limit_a_step_may_take_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stop, "heard", lambda: stop.REASONS.index("time limit"))
    monkeypatch.setattr(stop, "terminated", lambda: False)
    monkeypatch.setenv("SLURMKIT_END_TIME", str(int(time.time() + GRACE + 100)))
    made, _ = loop(Counter())
    made._step_seconds = 90
    assert not made._hurried(0)
    made._step_seconds = 110
    assert made._hurried(0)
    assert not made._hurried(0.5)


def test_nobody_hurries_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "heard", lambda: 0)
    monkeypatch.setenv("SLURMKIT_END_TIME", str(int(time.time())))
    made, _ = loop(Counter())
    made._step_seconds = 1e6
    assert not made._hurried(0)
