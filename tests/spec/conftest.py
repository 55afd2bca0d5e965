"""Every test of the spec starts in an empty directory, with no profile of its user's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def empty_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("place"))
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("SLURMKIT_PROFILE", "XDG_CONFIG_HOME"):
            patch.delenv(name, raising=False)
        yield
