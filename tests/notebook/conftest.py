"""A real Slurm for the tests from Python."""

from __future__ import annotations

from tests.slurm.conftest import slurm

__all__ = ["slurm"]
