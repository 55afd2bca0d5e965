"""Three hosts joined by a network, shared by the tests of this directory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ssh.hosts import BOXES, DESK, Hosts
from tests.testbed.install import reason_missing
from tests.testbed.left_out import leave_out

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and "hosts" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def session_hosts() -> Iterator[Hosts]:
    if reason := reason_missing():
        leave_out(reason)
    with Hosts() as hosts:
        yield hosts


@pytest.fixture
def hosts(session_hosts: Hosts) -> Iterator[Hosts]:
    """Give the hosts with empty disks and a whole network; see that the test leaves nothing."""
    for name in (DESK, *BOXES):
        for path in session_hosts.disk(name).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    yield session_hosts
    for box in BOXES:
        session_hosts.cut(box, up=True)
        session_hosts.run(["nft", "flush", "ruleset"], on=box)
    session_hosts.wait_until_gone("launch_node|slurmkit_worker|sleep 6", 20)
