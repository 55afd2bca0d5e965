"""How two workers share the tests.

Most tests wait, for a scheduler or a signal, so that two at once take little more time than one.
Those of a directory in TOGETHER share a Slurm or hosts of their own, or build on each other, and
so stay with one worker; the longest row begins first.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOGETHER = ("slurm", "docs", "ssh", "notebook")


def pytest_configure() -> None:
    # `make test &` is started to ignore Ctrl-C, and so would be all that the tests start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _directory(item) in TOGETHER:
            item.add_marker(pytest.mark.xdist_group(_directory(item)))
    order = {name: place for place, name in enumerate(TOGETHER)}
    items.sort(key=lambda item: order.get(_directory(item), len(order)))


def _directory(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0]
