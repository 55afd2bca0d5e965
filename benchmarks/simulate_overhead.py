"""How much longer `slurmkit simulate` takes than two `torchrun` commands typed by hand.

Both start the four processes of jobs/all_reduce.yaml, two nodes of two, in turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

from benchmarks._timing import Bar, alternate, command, report

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 1.5
ROUNDS = 5


def by_hand(directory: Path) -> Callable[[], object]:
    """The two torchrun commands, one a node, as the script has them."""
    ports = count(14000)
    variables = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

    def run() -> None:
        port = next(ports)
        nodes = [_torchrun(node, port, directory, variables) for node in (0, 1)]
        outputs = [node.communicate()[0] for node in nodes]
        if any(node.returncode for node in nodes):
            sys.exit("torchrun by hand failed\n" + "\n".join(outputs))

    return run


def _torchrun(
    node: int, port: int, directory: Path, variables: dict[str, str]
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=2"),
            *(f"--node-rank={node}", "--master-addr=127.0.0.1", f"--master-port={port}"),
            *(f"--local-addr=127.0.0.{node + 1}", "-m", "slurmkit.train.all_reduce"),
        ],
        cwd=directory,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def main() -> int:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        job = ROOT / "jobs" / "all_reduce.yaml"
        slurmkit = (sys.executable, "-c", "from slurmkit.cli import main; main()")
        variables = {"XDG_STATE_HOME": name}
        simulated = command((*slurmkit, "simulate", job), directory, variables)
        pair = alternate(simulated, by_hand(directory), ROUNDS, warm_up=1)
    what = "simulate, 2 nodes of 2 processes / two torchrun by hand"
    return report([Bar(what, pair.ratio, LIMIT, "x", str(pair))])


if __name__ == "__main__":
    sys.exit(main())
