"""What `slurmkit status` takes of its own: python benchmarks/status.py [JOBS].

5,000 jobs, 2,500 of them in the queue and all of them in the list of jobs, are told within 0.5 s,
as a table and as JSON. squeue and sacct are stand-ins that write what was recorded from Slurm
22.05, multiplied; what they take is measured beside it and taken off. Two more bars: one job of
those, and a name, which has to be looked for.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks._installed import CHECKOUT, build_wheel, install_wheel, plain_environment
from benchmarks._timing import Bar, alternate, command, report

JOBS = 5_000
ROUNDS = 9
RECORDED = CHECKOUT / "tests" / "slurm_language" / "recorded"
_LIMIT = 0.5  # seconds


def squeue_output(count: int) -> str:
    """Recorded lines of squeue, with ids of their own, until there are so many."""
    text = (RECORDED / "squeue-22.05.txt").read_text(encoding="utf-8")
    whole = [line for line in text.split("\x1f\n") if "\n" not in line and line]
    lines = []
    for number in range(1, count + 1):
        _, raw, rest = whole[number % len(whole)].split("\x1f", 2)
        lines.append(f"{number:<200}\x1f{number:<{len(raw)}}\x1f{rest}\x1f\n")
    return "".join(lines)


def prepare(directory: Path, count: int) -> Path:
    """Writes the stand-ins and the list of jobs; gives the directory of the stand-ins."""
    programs = directory / "programs"
    programs.mkdir()
    (directory / "squeue.txt").write_text(squeue_output(count // 2), encoding="utf-8")
    sacct = RECORDED / "sacct-22.05.txt"
    for name, source in (("squeue", directory / "squeue.txt"), ("sacct", sacct)):
        program = programs / name
        program.write_text(f"#!/bin/sh\nexec cat {source}\n", encoding="utf-8")
        program.chmod(0o755)
    jobs = directory / "state" / "slurmkit" / "jobs.jsonl"
    jobs.parent.mkdir(parents=True)
    with jobs.open("w", encoding="utf-8") as file:
        for number in range(1, count + 1):
            name = f"job {number}"
            run = f"/data/runs/job-{number}/{number}"
            entry = {"id": str(number), "name": name, "directory": run, "cluster": "c"}
            file.write(json.dumps(entry) + "\n")
    return programs


def main() -> int:
    """Measures, and tells the bars."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        slurmkit = install_wheel(build_wheel(directory), directory / "environment") / "slurmkit"
        programs = prepare(directory, count)
        environment = {
            **plain_environment(),
            "XDG_STATE_HOME": str(directory / "state"),
            "PATH": f"{programs}:{plain_environment()['PATH']}",
        }
        bare = command(["sh", "-c", "squeue; sacct"], directory, environment)
        bars = []
        for words in (["status"], ["status", "--json"], ["status", "7"], ["status", "job 2400"]):
            pair = alternate(command([slurmkit, *words], directory, environment), bare, ROUNDS)
            own = statistics.median(a - b for a, b in zip(pair.a, pair.b, strict=True))
            bars.append(Bar(" ".join(words), own, _LIMIT, " s", str(pair)))
        return report(bars)


if __name__ == "__main__":
    sys.exit(main())
