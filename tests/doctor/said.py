"""Lines that small logs are made of, and what is asked of a diagnosis."""

from __future__ import annotations

from collections.abc import Callable

from slurmkit.check.doctor.verdict import Diagnosis, Verdict

Told = Callable[..., Diagnosis]

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
TRACEBACK = 'Traceback (most recent call last):\n  File "/home/u/train.py", line 7, in step'
LIMIT = "slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-11-21T09:00:00 DUE TO TIME LIMIT ***"
CANCELLED = "slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-11-21T09:00:00 ***"
CHILD = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:"
STEPS = "\n".join(f"step {number} loss {2 - number / 100:.3f} lr 1e-4" for number in range(20))
REPORT = """\
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_08:05:30
  host      : n2
  rank      : 3 (local_rank: 1)
  exitcode  : {code} (pid: 4711)
  error_file: <N/A>"""


def watchdog(rank: int, number: int = 7, second: int = 0) -> str:
    return (
        f"[E1121 08:15:{second:02}.5 ProcessGroupNCCL.cpp:616] [Rank {rank}] Watchdog caught "
        f"collective operation timeout: WorkNCCL(SeqNum={number}, OpType=ALLREDUCE) ran for 600 s"
    )


def led(rank: int, text: str) -> str:
    """Write a text as rank's lines of the whole job's output."""
    return "\n".join(f"[rank{rank}]: {line}" for line in text.splitlines())


def verdict(found: Diagnosis) -> Verdict:
    assert found.verdict is not None
    return found.verdict
