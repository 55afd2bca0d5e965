"""Exceptions of any name, by the traceback that they end, and which of several ended a rank."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slurmkit.check.doctor.diagnose import diagnose
from slurmkit.check.doctor.event import Log
from slurmkit.check.doctor.verdict import Verdict
from tests.doctor.said import CANCELLED, LIMIT, STEPS, TRACEBACK, Told, led, verdict

TASK = "srun: error: n2: task 2: Exited with exit code 1"
HANDLED = f"ERROR:root:sample 7 is skipped\n{TRACEBACK}\nKeyError: 'img'"
FATAL = f"{TRACEBACK}\nValueError: no optimizer state"


def of_rank(folder: Path, text: str, *, state: str = "FAILED", attempts: int = 1) -> Verdict:
    """Return what is said of a job of which only the log of rank 2 tells."""
    log = folder / "n2.rank2.log"
    log.write_text(text + "\n")
    return verdict(diagnose([Log(log, 2, "n2", attempts)], state=state))


@pytest.mark.parametrize(
    "raised",
    [
        "__main__.Diverged: loss 1e9 at step 1",
        "Halt",
        "queue.Empty",
        "struct.error: unpack requires a buffer of 4 bytes",
        "UserWarning: the scheduler was called too early",
        "FutureWarning: torch.load will change",
        "main.<locals>.TooLate: 9 s",
        "concurrent.futures.process.BrokenProcessPool: A process was terminated abruptly",
    ],
)
@pytest.mark.parametrize("is_led", [False, True])
def test_an_exception_of_any_name_ends_a_traceback(
    told: Told, raised: str, *, is_led: bool
) -> None:
    text = f"{TRACEBACK}\n    step()\n    ^^^^^^\n{raised}"
    found = verdict(told(STEPS, led(2, text) if is_led else text, TASK))
    assert (found.code, found.rank, found.evidence) == ("D50", 2, raised)
    assert found.lines[1].text.startswith('File "/home/u/train.py", line 7')


@pytest.mark.parametrize(
    "text",
    [
        f"{TRACEBACK}\nstep 21 loss 2.1 lr 1e-4",
        f"{TRACEBACK}\ntorch.distributed.DistBackendError: NCCL error in: x.cpp:3",
        "Traceback (most recent call last):\nHalt: no frame",
        TRACEBACK,
    ],
    ids=["cut off", "what follows from another's end", "no frames", "nothing behind"],
)
def test_what_ends_no_traceback_is_no_exception(told: Told, text: str) -> None:
    assert verdict(told(text, TASK)).code == "unknown"


def test_a_group_of_exceptions(told: Told) -> None:
    group = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/home/u/train.py", line 7, in step\n'
        "  | ExceptionGroup: two (2 sub-exceptions)\n"
        "  +-+---------------- 1 ----------------\n"
        "    | ValueError: first bad\n"
    )
    assert verdict(told(group, TASK)).evidence == "ValueError: first bad"


def test_of_a_worker_of_a_data_loader_its_own_exception(told: Told) -> None:
    caught = "ValueError: Caught ValueError in DataLoader worker process 0."
    of_worker = f"Original {TRACEBACK}\nValueError: sample 3 has no label"
    assert verdict(told(f"{TRACEBACK}\n{caught}\n{of_worker}", TASK)).evidence.endswith("no label")
    assert verdict(told(f"{TRACEBACK}\n{caught}", TASK)).evidence == caught


@pytest.mark.parametrize(
    ("frame", "raised", "code"),
    [
        ("site-packages/torch/serialization.py", "OSError: [Errno 22] Invalid argument", "D78"),
        ("site-packages/torch/_weights_only_unpickler.py", "EOFError", "D78"),
        ("site-packages/torch/serialization.py", "AttributeError: Can't get attribute 'A'", None),
        ("/home/u/socket_server.py", "OSError: [Errno 22] Invalid argument", None),
    ],
)
def test_an_exception_that_says_little_is_known_by_where_it_was_raised(
    told: Told, frame: str, raised: str, code: str | None
) -> None:
    inner = f'    model = torch.load(path)\n  File "{frame}", line 807, in __init__'
    found = verdict(told(f"{TRACEBACK}\n{inner}\n    super().__init__(a)\n{raised}", TASK))
    assert (found.code, found.detail) == ("D50", code)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{HANDLED}\nstep 2 loss 2.4\n{FATAL}", "ValueError: no optimizer state"),
        (f"{HANDLED}\n{FATAL}", "KeyError: 'img'"),  # the one may be of the other
        (f"{HANDLED}\nstep 2 loss 2.4", "KeyError: 'img'"),  # a thread ended, and the job later
    ],
    ids=["it trained on", "it did not", "nothing else"],
)
def test_of_two_exceptions_that_behind_which_it_did_not_train_on(
    tmp_path: Path, text: str, told: str
) -> None:
    assert of_rank(tmp_path, text).evidence == told


@pytest.mark.parametrize(
    ("seconds", "text", "code"),
    [
        (600, FATAL, "D50"),
        (600, f"{FATAL}\nsaved nothing", "D50"),
        (600, f"{HANDLED}\n{STEPS}", "D30"),
        (600, f"{HANDLED}\nstep 2 loss 2.4", "D30"),
        (5, FATAL, "D30"),
    ],
    ids=["its last words", "nearly", "it trained on", "for a step", "at the end"],
)
def test_a_rank_that_fell_silent_long_before_the_time_limit(
    tmp_path: Path, seconds: int, text: str, code: str
) -> None:
    """Its failure was hidden, or of a thread, and the others waited for it."""
    whole, own = tmp_path / "slurm-12.out", tmp_path / "n2.rank2.log"
    whole.write_text(f"step 1 loss 2.5\n{LIMIT}\n")
    own.write_text(text + "\n")
    ended = whole.stat().st_mtime
    os.utime(own, (ended - seconds, ended - seconds))
    found = verdict(diagnose([Log(whole), Log(own, 2, "n2")], state="TIMEOUT"))
    assert (found.code, found.confidence) == (code, "medium" if code == "D50" else "high")
    whole.write_text(f"step 1 loss 2.5\n{led(2, text)}\n{LIMIT}\n")
    found = verdict(diagnose([Log(whole), Log(own, 2, "n2")], state="TIMEOUT"))
    assert found.code == code


@pytest.mark.parametrize(
    ("again", "attempts", "told"),
    [
        ("start of 4", 2, "unknown"),
        (f"start of 4\n{TRACEBACK}\nKeyError: 'second'", 2, "KeyError: 'second'"),
        ("started late", 2, "MemoryError"),
        ("start of 4\nstart of 4", 2, "MemoryError"),
        ("start of 4", 1, "MemoryError"),
    ],
    ids=["silent", "another", "no start", "said too often", "one attempt"],
)
def test_the_last_attempt_begins_where_the_first_line_stands_again(
    tmp_path: Path, again: str, attempts: int, told: str
) -> None:
    text = f"start of 4\n{TRACEBACK}\nMemoryError\n{again}"
    found = of_rank(tmp_path, text, attempts=attempts)
    assert (found.evidence or found.code) == told


def test_a_task_that_failed_by_itself_before_srun_ended_the_others(tmp_path: Path) -> None:
    whole, own = tmp_path / "slurm-12.out", tmp_path / "n2.rank2.log"
    own.write_text(f"{FATAL}\n")
    logs = [Log(whole), Log(own, 2, "n2")]
    for end in (TASK, TASK.replace("Exited with exit code 1", "Segmentation fault")):
        whole.write_text(f"{end}\n{CANCELLED}\n")
        assert verdict(diagnose(logs)).evidence == "ValueError: no optimizer state"
    whole.write_text(f"{CANCELLED}\n{TASK}\n")
    assert verdict(diagnose(logs)).code == "D31"


@pytest.mark.parametrize(
    ("behind", "task", "code"),
    [("step 2 loss 2.4", 2, "D49"), ("step 2 loss 2.4", 1, "D49"), ("bye", 2, "D50")],
    ids=["it trained on", "another rank", "it did not"],
)
def test_a_rank_that_outlived_its_exception_and_crashed(
    tmp_path: Path, behind: str, task: int, code: str
) -> None:
    whole, own = tmp_path / "slurm-12.out", tmp_path / "n2.rank2.log"
    whole.write_text(f"srun: error: n2: task {task}: Segmentation fault\n{CANCELLED}\n")
    own.write_text(f"{HANDLED}\n{behind}\n")
    assert verdict(diagnose([Log(whole), Log(own, 2, "n2")])).code == code


def test_the_last_words_of_the_rank_that_failed_first(tmp_path: Path) -> None:
    whole, own = tmp_path / "slurm-12.out", tmp_path / "n2.rank2.log"
    whole.write_text(f"[rank0] step 9\n{TASK}\n")
    own.write_text("step 1\nthe index is empty\n")
    found = verdict(diagnose([Log(whole), Log(own, 2, "n2")]))
    assert (found.code, found.lines[-1].text) == ("unknown", "the index is empty")


def test_the_rank_that_a_barrier_names(tmp_path: Path) -> None:
    own = tmp_path / "n0.rank0.log"
    own.write_text("RuntimeError: [Rank 0]: Rank 2 failed to pass monitoredBarrier in 3000 ms\n")
    found = verdict(diagnose([Log(own, 0, "n0")]))
    assert (found.code, found.rank, found.node) == ("D20", 2, None)
