"""`slurmkit logs --all` over 1,024 rank files of 1 MB each, against `sort -m` over the same files.

`sort -m` merges by bytes, which is by time for lines that begin with one, in the C locale, and
puts no names of nodes and ranks before them. The memory is compared with that for files of a
quarter of the size.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks._timing import Bar, alternate, command, report

RANKS = 1024
SIZE = 1_000_000
RATIO = 4.0
GROWTH = 1.1
ROUNDS = 3
_SLURMKIT = (sys.executable, "-c", "from slurmkit.cli import main; main()")


def make_run(folder: Path, id: str, size: int) -> Path:
    """Write a run directory with the log of each rank, and its entry in the list of jobs."""
    run = folder / "runs" / "big" / id
    (run / "logs").mkdir(parents=True)
    chance = random.Random(id)
    for rank in range(RANKS):
        lines: list[str] = []
        left, when = size, datetime(2026, 11, 20, 8)
        while left > 0:
            when += timedelta(seconds=2 * chance.random())
            words = f"step {len(lines)} loss {chance.random():.4f} tokens/s {chance.random():.6f}"
            lines.append(f"{when.isoformat(' ', 'milliseconds')} INFO train: {words} lr 1e-4\n")
            left -= len(lines[-1])
        (run / "logs" / f"node{rank // 8}.rank{rank}.log").write_text("".join(lines))
    entry = {"id": id, "name": id, "directory": str(run), "cluster": "simulate"}
    listed = folder / "slurmkit" / "jobs.jsonl"
    listed.parent.mkdir(exist_ok=True)
    with listed.open("a") as file:
        file.write(json.dumps(entry) + "\n")
    return run / "logs"


def memory(id: str, environment: dict[str, str]) -> int:
    """Return the most memory, in MiB, that `slurmkit logs --all` has at one time."""
    arguments = [*_SLURMKIT, "logs", "--all", id]
    with Path(os.devnull).open("w") as nothing:
        process = subprocess.Popen(arguments, env=environment, stdout=nothing)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        sys.exit(f"slurmkit logs ended with {status}")
    return usage.ru_maxrss >> 10


def main() -> int:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "XDG_STATE_HOME": name, "LC_ALL": "C"}
        logs = make_run(folder, "101", SIZE)
        make_run(folder, "102", SIZE // 4)
        slurmkit = (*_SLURMKIT, "logs", "--all", "101")
        files = sorted(path.name for path in logs.iterdir())
        pair = alternate(
            command(("bash", "-c", 'exec "$@" > /dev/null', "-", *slurmkit), folder, environment),
            command(
                ("bash", "-c", 'exec sort -m "$@" > /dev/null', "-", *files), logs, environment
            ),
            ROUNDS,
            warm_up=1,
        )
        large, small = memory("101", environment), memory("102", environment)
    what = f"logs --all, {RANKS} rank files of {SIZE / 1e6:g} MB"
    return report(
        [
            Bar(f"{what} / sort -m", pair.ratio, RATIO, "x", str(pair)),
            Bar(f"{what} / files of a quarter: memory", large / small, GROWTH, "x", f"{large} MiB"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
