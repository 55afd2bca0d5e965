"""How much longer `slurmkit submit` takes than `slurmkit render` and a bare `sbatch` of its script.

Both are typed on the login host of a real two-node Slurm, in turns; the jobs are held, so that no
node is busy with them. Measured is the installed wheel, as in cli_startup.py.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks._installed import CHECKOUT, build_wheel, install_wheel
from benchmarks._timing import Bar, alternate, report
from tests.testbed.cluster import SlurmCluster

LIMIT = 1.3


def typed(slurm: SlurmCluster, directory: Path, *lines: str) -> Callable[[], object]:
    """A call that runs the lines in one bash on the login host."""
    script = "set -eo pipefail\n" + "\n".join(lines)

    def run() -> None:
        variables = {"XDG_STATE_HOME": str(directory)}
        slurm.run(["bash", "-c", script], cwd=directory, env=variables, check=True)

    return run


def main(rounds: int) -> int:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="slurmkit-bench-") as name, SlurmCluster() as slurm:
        directory = Path(name)
        programs = install_wheel(build_wheel(directory / "dist"), directory / "venv")
        slurmkit, job = programs / "slurmkit", CHECKOUT / "jobs" / "all_reduce.yaml"
        pair = alternate(
            typed(slurm, directory, f"{slurmkit} submit {job} --profile none --hold"),
            typed(
                slurm,
                directory,
                f"{slurmkit} render {job} --profile none > script",
                "sbatch --parsable --hold script",
            ),
            rounds,
        )
    what = "slurmkit submit / slurmkit render and sbatch"
    return report([Bar(what, pair.ratio, LIMIT, "x", str(pair))])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 21))
