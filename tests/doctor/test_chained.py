"""Exceptions that were raised from others, and which of them a verdict shows."""

from __future__ import annotations

import pytest

from slurmkit.check.doctor.text import lines
from tests.doctor.said import OOM, TRACEBACK, Told, led, verdict

FROM = "The above exception was the direct cause of the following exception:"
DURING = "During handling of the above exception, another exception occurred:"
TASK = "srun: error: n2: task 2: Exited with exit code 1"
KEY = "KeyError: 'lr'"
SAYS = "ValueError: the configuration has no learning rate"


@pytest.mark.parametrize("is_led", [False, True])
@pytest.mark.parametrize(
    ("inner", "link", "outer", "shown"),
    [
        (KEY, FROM, SAYS, SAYS),
        (KEY, DURING, "AttributeError: 'NoneType' object has no attribute 'close'", KEY),
        (KEY, FROM, "my.StepError: an error occurred in step 3", KEY),
        (KEY, FROM, f"my.Wrapped: {KEY}", KEY),
        (KEY, FROM, "hydra.errors.InstantiationException: Error in call to target 'm.M':", KEY),
        (SAYS, FROM, SAYS.replace("ValueError", "my.E"), SAYS),
        (OOM, FROM, SAYS, OOM),
        (KEY, FROM, OOM, OOM),
    ],
    ids=[
        "from",
        "a cleanup",
        "says little",
        "holds it",
        "goes on below",
        "the same",
        "memory",
        "memory behind",
    ],
)
def test_of_a_chain_the_one_that_tells_most(
    told: Told, inner: str, link: str, outer: str, shown: str, *, is_led: bool
) -> None:
    text = f"{TRACEBACK}\n{inner}\n\n{link}\n\n{TRACEBACK}\n{outer}"
    assert verdict(told(led(2, text) if is_led else text, TASK)).evidence == shown


def test_its_cause_is_shown_with_it(told: Told) -> None:
    text = f"{TRACEBACK}\n{KEY}\n\n{FROM}\n\n{TRACEBACK}\n{SAYS}"
    found = told(text, TASK)
    shown = lines(found)
    (at,) = [at for at, line in enumerate(shown) if line.startswith("  its cause ")]
    assert shown[at + 1].strip() == KEY
    assert verdict(found).data()["evidence"][-1]["text"] == KEY
    thrice = f"{text}\n\n{FROM}\n\n{TRACEBACK}\nmy.Gone: the run cannot begin"
    top = verdict(told(thrice, TASK))
    assert (top.evidence, top.more[0][1].text) == ("my.Gone: the run cannot begin", KEY)
