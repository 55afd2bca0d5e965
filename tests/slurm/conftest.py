"""The real Slurm that the tests of this directory share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.testbed.cluster import SlurmCluster
from tests.testbed.install import reason_missing
from tests.testbed.left_out import leave_out

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slurm)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    cluster = getattr(item, "funcargs", {}).get("slurm")
    if report.failed and isinstance(cluster, SlurmCluster):
        report.sections.append(("logs of Slurm's daemons", cluster.logs()))
    return report


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmCluster]:
    """Two nodes under a real Slurm, for the whole run."""
    if reason := reason_missing():
        leave_out(reason)
    with SlurmCluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _idle_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    cluster = request.node.funcargs.get("slurm")
    if isinstance(cluster, SlurmCluster):
        cluster.reset()
