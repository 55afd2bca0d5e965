"""What the tests of docs share: one real Slurm, and a directory for each page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import slurm

__all__ = ["slurm"]


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a page its working directory, the same one each time it is asked for."""
    made: dict[str, Path] = {}

    def give(page: str) -> Path:
        if page not in made:
            made[page] = tmp_path_factory.mktemp(Path(page).stem)
        return made[page]

    return give
