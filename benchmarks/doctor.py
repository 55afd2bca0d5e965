"""`slurmkit doctor --log` over 1 GB of logs: within 20 s, in memory that does not grow with them.

Each rank's file is of what ranks write: metrics, progress bars, and texts that a model made, of
which no line is like another. `wc` reads the same files beside it. The memory is compared with
that for a quarter of the files.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._timing import Bar, report

FILES = 8
SIZE = 125_000_000
_PIECE = 4_000_000
LIMIT = 20.0  # seconds
GROWTH = 1.1
_SLURMKIT = (sys.executable, "-c", "from slurmkit.cli import main; main()")
_LAST = """\
Traceback (most recent call last):
  File "train.py", line 7, in step
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
"""


def make_piece(chance: random.Random) -> str:
    """Write some MB of a rank's log."""
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(3000)]
    lines: list[str] = []
    size = step = 0
    while size < _PIECE:
        step += 1
        clock = f"{step // 3600 % 24:02}:{step // 60 % 60:02}:{step % 60:02}"
        at = f"2026-11-21 {clock},{step % 1000:03}"
        loss, rate = chance.random(), 1e5 * chance.random()
        lines += [
            f"{at} INFO train: step {step} loss {loss:.4f} tokens/s {rate:.1f} lr 1e-4\n",
            f"\r {step % 100:3}%|{'█' * (step % 20):<20}| {step}/90000 [{rate:.2f}it/s]\n",
            f"sample: {' '.join(chance.choices(words, k=20))}\n" if step % 10 == 0 else "",
        ]
        size += sum(map(len, lines[-3:]))
    return "".join(lines)


def make_logs(folder: Path) -> list[Path]:
    """Write the files; the last one ends with a traceback."""
    chance = random.Random(7)
    pieces = [make_piece(chance).encode() for _ in range(4)]
    paths = [folder / f"node{rank}.rank{rank}.log" for rank in range(FILES)]
    for path in paths:
        with path.open("wb") as file:
            while file.tell() < SIZE:
                file.write(chance.choice(pieces))
    with paths[-1].open("a") as file:
        file.write(_LAST)
    return paths


def measure(command: list[str], paths: list[Path]) -> tuple[float, int, str]:
    """Return how many seconds a command takes, the most memory (MiB) that it has, its output."""
    begin = time.perf_counter()
    process = subprocess.Popen([*command, *map(str, paths)], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        sys.exit(f"{command[-1]} ended with {status}")
    return time.perf_counter() - begin, usage.ru_maxrss >> 10, said


def main() -> int:
    """Measure and report."""
    doctor = [*_SLURMKIT, "doctor", "--json", "--log"]
    with tempfile.TemporaryDirectory() as name:
        paths = make_logs(Path(name))
        beside, _, _ = measure(["wc", "-l"], paths)
        seconds, large, said = measure(doctor, paths)
        _, small, _ = measure(doctor, paths[-FILES // 4 :])
    verdict = json.loads(said)["findings"][0]
    if (verdict["cause"], verdict["rank"]) != ("D27", FILES - 1):
        sys.exit(f"a wrong verdict: {verdict}")
    what = f"doctor, {FILES} files of {SIZE / 1e6:g} MB"
    detail = f"wc -l takes {beside:.1f} s"
    return report(
        [
            Bar(what, seconds, LIMIT, "s", detail),
            Bar(f"{what} / a quarter of them: memory", large / small, GROWTH, "x", f"{large} MiB"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
