"""How three workers share the tests.

Most tests wait, for a scheduler or a signal, so that three at once take little more time than one.
Each worker has a Slurm of its own. The long tests come first, so that all end at one time.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
FIRST = ("slurm", "docs", "ssh", "notebook")

# A time-out an example says more of the two cores that the workers share than of what is tested.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
# Whether a change lands is no matter of luck: there, the examples are the same each time.
settings.register_profile("landing", deadline=None, derandomize=True)


def pytest_configure() -> None:
    # `make test &` is started to ignore Ctrl-C, and so would be all that the tests start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(_directory(item), len(order)))


def _directory(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0]
