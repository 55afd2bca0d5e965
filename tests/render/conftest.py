"""What the tests of rendered scripts share."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shellcheck() -> str:
    """Return the shellcheck of this environment."""
    beside = Path(sys.executable).with_name("shellcheck")
    found = str(beside) if beside.exists() else shutil.which("shellcheck")
    assert found, "shellcheck is a test dependency: pip install -e '.[dev]'"
    return found
