"""How long a person waits for the command to start: python benchmarks/cli_startup.py [ROUNDS].

Bars, each a ratio of processes started in turns in one virtual environment:

- `slurmkit --help` takes at most 1.3 times `python -c "import click"`;
- a cold `slurmkit render jobs/all_reduce.yaml` takes at most 1.9 times
  `python -c "import pydantic, jinja2, yaml"`, the libraries that it needs.

Measured is the installed wheel, not the checkout: pip compiles what it installs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks._installed import CHECKOUT, build_wheel, install_wheel, plain_environment
from benchmarks._timing import Bar, alternate, command, report


def main(rounds: int) -> int:
    """Measures both bars and reports them."""
    with tempfile.TemporaryDirectory(prefix="slurmkit-bench-") as name:
        place = Path(name)
        programs = install_wheel(build_wheel(place / "dist"), place / "venv")
        environment = {**plain_environment(), "HOME": name}  # and so nobody's profiles

        def race(arguments: list[str], imports: str, limit: float) -> Bar:
            pair = alternate(
                command([programs / "slurmkit", *arguments], CHECKOUT, environment),
                command([programs / "python", "-c", f"import {imports}"], CHECKOUT, environment),
                rounds,
            )
            title = f"slurmkit {' '.join(arguments)} / import {imports}"
            return Bar(title, pair.ratio, limit, detail=str(pair))

        return report(
            [
                race(["--help"], "click", 1.3),
                race(["render", "jobs/all_reduce.yaml"], "pydantic, jinja2, yaml", 1.9),
            ]
        )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 31))
