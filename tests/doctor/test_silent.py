"""Ranks that said nothing: for which the others waited, or that they lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurmkit.check.doctor.diagnose import diagnose
from slurmkit.check.doctor.event import Log
from slurmkit.check.doctor.text import lines
from slurmkit.check.doctor.verdict import Diagnosis, Verdict
from tests.doctor.said import CHILD, REPORT, TRACEBACK, led, verdict

WAITED = f"{TRACEBACK}\nRuntimeError: [pair.cc:1] Timed out waiting 12000ms for recv operation"
LOST = f"{TRACEBACK}\nRuntimeError: [pair.cc:553] Connection closed by peer [{{}}]:4711"
STORE = "torch.distributed.DistStoreError: wait timeout after 12000ms, keys: /default_pg/0//{}"
HOST = "10.0.0.7"


def of_ranks(folder: Path, *said: str, whole: str = "") -> Diagnosis:
    logs = []
    for rank, text in enumerate(said):
        log = folder / f"n{rank // 2}.rank{rank}.log"
        log.write_text(f"step {rank}\n{led(rank, text)}\n" if "\n" in text else f"{text}\n")
        logs.append(Log(log, rank, f"n{rank // 2}"))
    (folder / "slurm-12.out").write_text(whole)
    return diagnose([Log(folder / "slurm-12.out"), *logs], state="FAILED")


@pytest.mark.parametrize(
    "said",
    [
        (WAITED, WAITED, WAITED, "goes to sleep"),
        (WAITED, "goes to sleep"),
        (WAITED, LOST.format(HOST), LOST.format(HOST), "goes to sleep"),
    ],
    ids=["of four", "of two", "where those that lost the first to give up count too"],
)
def test_the_only_rank_without_a_complaint_is_the_one_for_which_the_others_waited(
    tmp_path: Path, said: tuple[str, ...]
) -> None:
    found = of_ranks(tmp_path, *said)
    missing = len(said) - 1
    top = verdict(found)
    who = f"rank {missing} on n{missing // 2}, for which the others waited"
    assert (top.code, top.rank, top.who) == ("D20", missing, who)
    assert who in top.in_a_line()
    assert "goes to sleep" in "\n".join(lines(found))
    assert top.data()["evidence"][-1]["text"] == "goes to sleep"


def test_of_two_silent_ranks_none_is_the_one(tmp_path: Path) -> None:
    top = verdict(of_ranks(tmp_path, WAITED, WAITED, "a", "b"))
    assert (top.rank, top.is_awaited, top.more) == (0, False, ())


@pytest.mark.parametrize("rank", [0, 1])
def test_where_ranks_meet_all_look_for_rank_0(tmp_path: Path, rank: int) -> None:
    """Whoever else is silent has nothing to do with it."""
    raised = f"{TRACEBACK}\ntorch.distributed.DistNetworkError: The client socket has timed out "
    raised += "after 8000ms while trying to connect to (node2, 29500)."
    said = ("well", raised) if rank else (raised, "well")
    top = verdict(of_ranks(tmp_path, *said))
    assert (top.code, top.rank, top.is_awaited) == ("D01", 0, rank == 1)


@pytest.mark.parametrize(
    ("key", "told"),
    [("cpu//0/1", ("D134", 1, True)), ("cuda//0", ("D73", 0, False))],
    ids=["of a rank", "of NCCL's id"],
)
def test_the_key_of_the_store_names_the_rank(
    tmp_path: Path, key: str, told: tuple[str, int, bool]
) -> None:
    raised = f"{TRACEBACK}\n{STORE.format(key)}"
    top = verdict(of_ranks(tmp_path, raised, "a", raised, "b"))
    assert (top.code, top.detail, top.rank, top.is_awaited) == ("D02", *told)


def left(folder: Path, *said: str, whole: str = "") -> Verdict:
    return verdict(of_ranks(folder, *said, whole=whole))


def test_a_rank_that_left_early(tmp_path: Path) -> None:
    lost = LOST.format("127.0.0.1")
    report = f"{CHILD}\n{REPORT.format(code=1)}".replace("rank      : 3", "rank      : 0")
    top = left(tmp_path, lost, "no more data", lost, lost, whole=f"{report}\n")
    assert (top.code, top.rank, top.node, top.evidence) == ("D133", 1, "n0", "no more data")
    assert top.confidence == "medium"
    top = left(tmp_path, lost, "no more data", "nor here", lost, whole=f"{report}\n")
    assert top.code == "unknown"
    assert [line.text for line in top.lines][-1].endswith("peer [127.0.0.1]:4711")
    assert "127.0.0.1" not in top.fix


def test_a_rank_that_left_with_a_code_of_its_own(tmp_path: Path) -> None:
    lost = LOST.format(HOST)
    report = f"{CHILD}\n{REPORT.format(code=3)}\n"
    top = left(tmp_path, lost, lost, lost, "step 7", whole=report)
    assert (top.code, top.rank, top.is_telling) == ("unknown", 3, True)
    assert [line.text for line in top.lines] == ["step 7"]
    assert top.fix.startswith("look where it calls sys.exit or os._exit with 3; ")
    report = report.replace("exitcode  : 3", "exitcode  : 1")
    assert HOST in left(tmp_path, lost, lost, lost, "step 7", whole=report).fix


def test_of_one_output_the_lines_of_the_rank_that_failed_first(tmp_path: Path) -> None:
    log = tmp_path / "slurm-12.out"
    log.write_text(f"3: step 7\n2: step 7\n{CHILD}\n{REPORT.format(code=3)}\n")
    top = verdict(diagnose([Log(log)]))
    assert (top.rank, [line.text for line in top.lines]) == (3, ["3: step 7"])


def test_a_worker_that_was_killed_is_as_sure_as_a_rank_that_was(tmp_path: Path) -> None:
    killed = f"{TRACEBACK}\nRuntimeError: DataLoader worker (pid 7) is killed by signal: Killed."
    top = left(tmp_path, "step 1", killed)
    assert (top.code, top.detail, top.confidence) == ("D22", "D135", "medium")
    oom = "slurmstepd: error: Detected 1 oom_kill event in StepId=1.0.\n"
    top = left(tmp_path, "step 1", killed, whole=oom)
    assert (top.code, top.detail, top.confidence) == ("D22", None, "high")
