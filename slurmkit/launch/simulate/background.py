"""A simulation in a process of its own, which outlives the one that asked for it.

It reads a resolved job file from standard input and writes one line of JSON to the pipe that its
argument names: `{"id": 123}` when the script is about to start, or `{"error": …}`.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Run the simulation."""
    from slurmkit.launch.simulate.errors import SimulationError
    from slurmkit.launch.simulate.job import simulate_job
    from slurmkit.spec.errors import SpecError
    from slurmkit.spec.load import resolve

    pipe = int(sys.argv[1])

    told = False

    def tell(**news: object) -> None:
        nonlocal told
        if not told:  # of an array, the id of its first task is its own
            os.write(pipe, json.dumps(news).encode() + b"\n")
        told = True

    os.set_inheritable(pipe, False)
    try:
        outcome = simulate_job(resolve("-", profile="none").spec, begun=lambda id: tell(id=id))
    except (SimulationError, SpecError) as error:
        tell(error=str(error))
        sys.exit(2)
    sys.exit(0 if outcome.state == "COMPLETED" else 1)
