"""Leave out a test that needs what this machine does not have."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def leave_out(reason: str) -> NoReturn:
    """Skip the test; with SLURMKIT_REQUIRE_SLURM=1 fail instead."""
    if os.environ.get("SLURMKIT_REQUIRE_SLURM") == "1":
        pytest.fail(f"SLURMKIT_REQUIRE_SLURM=1, and {reason}")
    pytest.skip(reason)
