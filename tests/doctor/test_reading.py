"""Lines as they come: prefixes, colours, progress bars, JSON, wrapping, big files, times."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from slurmkit.check.doctor import scan as scanning
from slurmkit.check.doctor.cause import causes
from slurmkit.check.doctor.lines import read_line
from slurmkit.check.doctor.scan import scan
from slurmkit.check.doctor.sieve import NeedleError, Sieve, needles_of, shape
from slurmkit.check.doctor.sources import logs_of_files
from slurmkit.check.doctor.stamps import find_stamp

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


def codes(path: Path) -> list[tuple[str, int]]:
    return [(hit.cause.code, hit.number) for hit in scan(path, Sieve(causes()))]


@pytest.mark.parametrize(
    ("prefix", "rank", "local", "node"),
    [
        ("[rank3]: ", 3, None, None),
        ("[rank3]:[rank3]: ", 3, None, None),
        ("3: ", 3, None, None),
        ("[1,3]<stderr>:", 3, None, None),
        ("[default1]:", None, 1, None),
        ("[trainer3|1]:", 3, 1, None),
        ("node2 | [rank3] ", 3, None, "node2"),
        ("worker-1: ", None, None, "worker-1"),
        ("> ", None, None, None),
        ("(RayTrainWorker pid=77, ip=10.0.0.2) ", None, None, "10.0.0.2"),
        ("2026-11-21 08:15:30,123 ERROR [rank3]: ", 3, None, None),
        ("[2026-11-21T08:15:30.5Z] 3: ", 3, None, None),
        ("2026-11-21 08:15:30,123 - my.trainer - INFO - [rank3]: ", 3, None, None),
        ("\x1b[31m[rank3]:\x1b[0m \x1b[1m", 3, None, None),
        ("", None, None, None),
    ],
)
def test_prefixes_are_taken_off_and_kept(
    prefix: str, rank: int | None, local: int | None, node: str | None
) -> None:
    (said,) = read_line(f"{prefix}{OOM}".encode())
    assert (said.text, said.rank, said.local_rank, said.node) == (OOM, rank, local, node)
    assert said.shown.endswith(OOM)


def test_words_that_only_look_like_prefixes_stay() -> None:
    for text in (
        "srun: error: n1: task 3: Killed",
        "RuntimeError: x",
        "rank 3 is slow",
        "python3: can't open file '/x/train.py': [Errno 2] No such file or directory",
        "cc1: fatal error: a.h: No such file or directory",
    ):
        (said,) = read_line(text.encode())
        assert (said.text, said.node) == (text, None)


def test_a_progress_bar_and_a_json_text_hold_several_lines(tmp_path: Path) -> None:
    bar = tmp_path / "bar.log"
    bar.write_bytes(b"start\n  1%|#| 1/9\r  2%|#| 2/9\r" + OOM.encode() + b"\r  3%|#| 3/9\nend\n")
    assert codes(bar) == [("D27", 2)]
    quoted = tmp_path / "error.json"
    text = f'Traceback (most recent call last):\n  File "t.py", line 1\n{OOM}\n'
    quoted.write_text(json.dumps({"message": {"extraInfo": {"py_callstack": text}}}))
    assert codes(quoted) == [("A02", 1), ("D27", 1)]


@pytest.mark.parametrize(
    "broken", ["CUDA out of mem\nory", "CUDA out\nof memory", "CUDA out \n  of memory"]
)
def test_a_line_that_a_terminal_has_wrapped(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "wrapped.log"
    path.write_text(
        f"one\nthe forward pass of the model ended: {broken}. Tried to get 2 GiB\ntwo\n"
    )
    assert codes(path) == [("D27", 2)]


def test_lines_that_have_nothing_to_do_with_each_other_are_not_put_together(tmp_path: Path) -> None:
    path = tmp_path / "two.log"
    path.write_text("the tests of this page say what happens when CUDA out of\n\nmemory is cheap\n")
    assert codes(path) == []


def test_numbers_of_lines_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_BLOCK", 200)
    monkeypatch.setattr(scanning, "_SMALL", 0)
    lines = [f"step {number} loss 1.0" for number in range(1, 500)]
    lines[99] = lines[333] = OOM
    lines[400] = "a\rb\r" + OOM
    path = tmp_path / "long.log"
    path.write_text("\n".join(lines))
    assert codes(path) == [("D27", 100), ("D27", 334), ("D27", 401)]
    data = path.read_bytes()
    for hit in scan(path, Sieve(causes())):
        assert OOM.encode() in data[hit.offset :].partition(b"\n")[0]


def test_of_a_line_that_comes_again_and_again_the_first_and_the_last(tmp_path: Path) -> None:
    path = tmp_path / "again.log"
    path.write_text("".join(f"[rank{n % 8}]: {OOM} {n}\n" for n in range(5000)))
    found = [number for _, number in codes(path)]
    assert found[0] == 1
    assert found[-1] == 5000
    assert len(found) < 100


def test_only_the_end_of_a_file_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "end.log"
    path.write_text(f"{OOM}\n" + "step 1 loss 2\n" * 100 + "KeyError: 'x'\n")
    assert [hit.cause.code for hit in scan(path, Sieve(causes()), last=100)] == ["D50"]


def test_a_pattern_s_needles_are_in_every_line_that_fits() -> None:
    assert needles_of(r"(CUDA|HIP) out of memory") == [b" out of memory"]
    assert needles_of(r"exitcode ?: -(6|11)\b") == [b"exitcode"]
    assert needles_of(r"^\s*\w+(Error|Exception): ") == [b"rror", b"xception"]
    assert needles_of(r"[Aa]ddress already") == [b"address already"]
    with pytest.raises(NeedleError, match="no fixed text"):
        needles_of(r"\d+|a*")


def test_a_shape_has_no_numbers() -> None:
    assert shape(b"Step 12: Loss 0.3e-4\r\n") == b"step : loss e\n\n"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("2026-11-21 08:15:30,123 x", "2026-11-21 08:15:30"),
        ("[rank0]:[E1121 08:15:30.123456 ProcessGroupNCCL.cpp:1] x", "2026-11-21 08:15:30"),
        ("[rank2]:[E626 05:06:30.929096625 ProcessGroupNCCL.cpp:1] x", "2026-06-26 05:06:30"),
        ("E20261121 08:15:30.123456 1 x.py:1] x", "2026-11-21 08:15:30"),
        ("11/21/2026 08:15:30 - INFO", "2026-11-21 08:15:30"),
        ("Sat Nov 21 08:15:30 UTC 2026", "2026-11-21 08:15:30"),
        ("  time      : 2026-11-21_08:15:30", "2026-11-21 08:15:30"),
        ("CANCELLED AT 2026-11-21T08:15:30 ***", "2026-11-21 08:15:30"),
        ("2026-02-31 08:15:30", None),
        ("elapsed 08:15:30", None),
        ("ran for 600001 ms", None),
    ],
)
def test_times_wherever_they_stand(line: str, text: str | None) -> None:
    stamp = find_stamp(line, datetime(2026, 12, 1))
    assert (stamp.text if stamp else None) == text


def test_a_time_without_a_year_is_of_the_year_before_its_file() -> None:
    written = datetime(2027, 1, 1, 0, 30)
    stamps = [
        find_stamp(line, written) for line in ("E1231 23:59:50.0 1 x", "E0101 00:00:05.0 1 x")
    ]
    old, new = (stamp.seconds if stamp else 0.0 for stamp in stamps)
    assert new - old == 15.0


def test_files_of_one_rank_come_behind_those_of_all(tmp_path: Path) -> None:
    for name in ("n1.rank0.log", "n2.rank12.log", "slurm-7.out", "notes.md"):
        (tmp_path / name).write_text("x\n")
    found = [(log.path.name, log.rank, log.node) for log in logs_of_files([tmp_path])]
    assert found == [
        ("slurm-7.out", None, None),
        ("n1.rank0.log", 0, "n1"),
        ("n2.rank12.log", 12, "n2"),
    ]
