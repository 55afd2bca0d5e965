"""What the interruptions of a job have cost."""

from __future__ import annotations

from typing import Any

from slurmkit.observe.lost import Lost, count_lost


def events(*told: tuple[float, str]) -> list[dict[str, Any]]:
    return [{"time": time, "event": event} for time, event in told]


def rows(*times: float) -> list[dict[str, Any]]:
    return [{"time": time, "step": step} for step, time in enumerate(times, 1)]


def test_each_interruption_costs_the_lost_steps_the_queue_and_the_new_start() -> None:
    told = events(
        (0, "started"), (100, "signalled"), (110, "ended"), (111, "requeued"),
        (300, "started"), (400, "ended"),
        (400, "started"), (500, "ended"),
    )  # fmt: skip
    # A step takes 10 s. Behind 100 two steps were lost; in the second attempt no step was kept.
    steps = rows(50, 60, 70, 80, 90, 420, 430)
    assert count_lost(told, steps) == Lost(interruptions=2, seconds=330 - 10, queued=190)


def test_an_attempt_whose_node_died_has_no_end() -> None:
    told = events((0, "started"), (300, "started"))
    assert count_lost(told, rows(10, 20, 320, 330)) == Lost(1, 290, 0)


def test_nothing_is_lost_without_an_interruption_and_nothing_is_known_without_steps() -> None:
    assert count_lost(events((0, "started"), (100, "ended")), rows(50, 60)) is None
    assert count_lost(events((0, "started"), (300, "started")), []) is None
    assert count_lost([], rows(10)) is None
    running = events((0, "started"), (100, "ended"), (300, "started"))
    assert count_lost(running, rows(50, 60)) is None, "not before the next step"
