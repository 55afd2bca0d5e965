"""What keeps a job from being simulated."""

from __future__ import annotations


class SimulationError(RuntimeError):
    """This job cannot be simulated here: why, and what to do."""
