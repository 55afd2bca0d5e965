"""Every test of init starts in an empty directory, with an empty home and no profile."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def empty_place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to the empty directory, and return it."""
    place = tmp_path_factory.mktemp("project")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("SLURMKIT_PROFILE", "XDG_CONFIG_HOME", "VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return place
