"""The stand-in sbatch: refuses, because a pretend cluster has no queue."""

from __future__ import annotations

from slurmkit.launch.simulate.cluster import fail


def main() -> None:
    """Refuse."""
    fail(
        "sbatch",
        "slurmkit simulate runs one job and has no queue: inside a simulation nothing "
        "can be submitted. Run the other job's file with a `slurmkit simulate` of its own.",
    )
