"""What the tests of docs share: one real Slurm, and a directory for each page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.testbed.cluster import SlurmCluster
from tests.testbed.install import reason_missing


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmCluster]:
    """Two nodes under a real Slurm, for all the docs."""
    if reason := reason_missing():
        if os.environ.get("SLURMKIT_REQUIRE_SLURM") == "1":
            pytest.fail(f"SLURMKIT_REQUIRE_SLURM=1, and {reason}")
        pytest.skip(reason)
    with SlurmCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a page its working directory, the same one each time it is asked for."""
    made: dict[str, Path] = {}

    def give(page: str) -> Path:
        if page not in made:
            made[page] = tmp_path_factory.mktemp(Path(page).stem)
        return made[page]

    return give
