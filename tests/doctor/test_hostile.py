"""Any bytes are a log: the doctor says something of them, and never falls over."""

from __future__ import annotations

import json
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmkit.check.doctor.diagnose import diagnose
from slurmkit.check.doctor.event import Log
from slurmkit.check.doctor.text import lines

PIECES = (
    "[rank3]: ", "3: ", "[rank99999999999]: ", "\x1b[31m", "\r", "\\n", "```\n", "> ", "\n",
    "Traceback (most recent call last):\n", '  File "x.py", line 1, in f\n', "KeyError: 'x'\n",
    "During handling of the above exception, another exception occurred:\n",
    "CUDA out of memory", "Address already in use", "step 1 loss 2\n", "exitcode : -9\n",
    "Root Cause (first observed failure):\n[0]:\n  time      : 9999-99-99_99:99:99\n",
    "  host      : n\n  rank      : 3 (local_rank: 1)\n  exitcode  : 1 (pid: 1)\n",
    "srun: error: n1: tasks 0-3: Exited with exit code 1\n", "2026-02-31 25:61:61 ", "E9999 ",
    "*** JOB 1 ON n CANCELLED AT x DUE TO TIME LIMIT ***\n", "MEMBER: 1/2\n", "worker_count=0",
    "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=99999999999999999999, OpType=",
    "slurmkit: 2 x 2 processes meet at ", "Step created for job 1\n", "\0", "é€😀",
)  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=9)), max_size=60).map("".join)
ANY = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check(paths: list[Path], state: str | None) -> None:
    found = diagnose([Log(path) for path in paths], state=state)
    json.dumps([verdict.data() for verdict in found.findings], ensure_ascii=False).encode()
    assert all("\x1b" not in line and "\r" not in line for line in lines(found, state))
    for verdict in found.findings:
        assert verdict.confidence in ("high", "medium", "low")
        assert verdict.code == "unknown" or verdict.lines


@ANY
@given(text=TEXTS, state=st.sampled_from([None, "FAILED", "TIMEOUT", "NONSENSE"]))
def test_any_text(tmp_path: Path, text: str, state: str | None) -> None:
    path = tmp_path / "any.log"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    check([path], state)


@ANY
@given(data=st.binary(max_size=3000))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.log"
    path.write_bytes(data)
    check([path, path], None)


def test_a_line_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_bytes(b"CUDA out of memory " * 100_000)
    check([path], "FAILED")


def test_files_that_are_empty_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.touch()
    check([path, tmp_path / "none.log", tmp_path], "FAILED")
    check([], "FAILED")
    check([path], None)


def test_a_line_of_megabytes_costs_seconds(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(f"{'x' * 2_000_000} CUDA out of memory. Tried to {'y-' * 1_000_000}\n")
    started = time.monotonic()
    verdict = diagnose([Log(log)]).verdict
    assert verdict is not None
    assert verdict.code == "D27"
    assert time.monotonic() - started < 5
