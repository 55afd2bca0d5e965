"""How two workers share the tests: one takes those that need a real Slurm, the other the rest.

Most tests wait, for a scheduler or a signal, so that two at once take little more time than one.
The tests of one Slurm share it, and so stay together; so do the pages of docs, whose commands
build on each other.
"""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    # `make test &` is started to ignore Ctrl-C, and so would be all that the tests start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)  # tests/slurm/conftest.py marks its tests first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _uses_slurm(item):
            item.add_marker(pytest.mark.xdist_group("slurm"))
    items.sort(key=lambda item: not _uses_slurm(item))  # the longest row of tests begins first


def _uses_slurm(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("slurm")) or item.path.match("docs/test_commands.py")
