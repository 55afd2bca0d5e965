"""`slurmkit lint` over scripts of thousands of lines: python benchmarks/lint.py.

Bars:

- a script of 10,000 lines is linted in at most 1 s, and in at most three quarters of the time that
  shellcheck takes for it, which looks for other things in the same language;
- twice as many lines take at most 2.5 times as long.

The script is made of those that slurmkit renders for the jobs in jobs/, one behind the other.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path

from benchmarks._installed import CHECKOUT
from benchmarks._timing import Bar, alternate, report
from slurmkit.api import load, render
from slurmkit.check.lint.run import lint

LINES = 10_000
SECONDS = 1.0
RATIO = 0.75
GROWTH = 2.5
ROUNDS = 5


def script(lines: int) -> bytes:
    """Write a script of so many lines."""
    found: list[str] = []
    jobs = sorted((CHECKOUT / "jobs").glob("*.yaml"))
    scripts = [render(load(job, profile="none")).splitlines() for job in jobs]
    for part in cycle(scripts):
        found += part
        if len(found) >= lines:
            return ("\n".join(found[:lines]) + "\n").encode()
    raise RuntimeError("there are no jobs in jobs/")


def main() -> int:
    """Measure and report."""
    once, twice = script(LINES), script(2 * LINES)
    gc.disable()  # as the command does
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "long.sbatch")
        path.write_bytes(once)
        program = Path(sys.executable).with_name("shellcheck")
        against = alternate(
            lambda: lint(once),
            lambda: subprocess.run([program, path], capture_output=True, check=False),
            ROUNDS,
            warm_up=1,
        )
    growth = alternate(lambda: lint(twice), lambda: lint(once), ROUNDS, warm_up=1)
    return report(
        [
            Bar(f"{LINES:,} lines linted", min(against.a), SECONDS, " s"),
            Bar("against shellcheck", against.ratio, RATIO, "", str(against)),
            Bar("twice as many lines", growth.ratio, GROWTH, " times", str(growth)),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
