"""The logs: whole lines after a crash, no step twice after a resume, read by `job.metrics`."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slurmkit.launch.rundir import RunDirectory
from slurmkit.observe.metrics import read_metrics
from slurmkit.observe.plot import plot
from slurmkit.train.metrics import EVAL, EXPERTS, TRAIN, Metrics
from slurmkit.train.steplog import RankRow, Steps, train_row


def log(run: Path, name: str = TRAIN) -> Path:
    return run / "metrics" / f"{name}.jsonl"


def rows(run: Path, name: str = TRAIN) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log(run, name).read_text().splitlines()]


def steps(run: Path, name: str = TRAIN) -> list[int]:
    return [row["step"] for row in rows(run, name)]


def write(run: Path, first: int, last: int, resumed: int = 0) -> None:
    metrics = Metrics(run, resumed)
    for step in range(first, last + 1):
        metrics.write(TRAIN, {"step": step, "loss": 1 / step})
        metrics.write(EXPERTS, {"step": step, "layers": [{"layer": 1, "counts": [1, 2]}]})
        if step % 2 == 0:
            metrics.write(EVAL, {"step": step, "loss": 2 / step})
    metrics.close()


def test_a_resumed_run_cuts_what_lies_behind_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, 1, 5)
    assert list(rows(tmp_path)[0])[:2] == ["time", "step"]
    write(tmp_path, 4, 6, resumed=3)
    assert steps(tmp_path) == steps(tmp_path, EXPERTS) == [1, 2, 3, 4, 5, 6]
    assert steps(tmp_path, EVAL) == [2, 4, 6]
    Metrics(tmp_path, 0).close()  # begins anew
    assert steps(tmp_path) == steps(tmp_path, EVAL) == []
    assert not list((tmp_path / "metrics").glob("*.part"))


@pytest.mark.parametrize("torn", ['{"time": 1, "step": 3, "lo', "\x00\x00", '{"time": 1}'])
def test_half_a_line_goes_and_a_whole_one_gets_its_end(tmp_path: Path, torn: str) -> None:
    write(tmp_path, 1, 2)
    with log(tmp_path).open("a") as file:
        file.write(torn)
    write(tmp_path, 3, 3, resumed=2)
    assert steps(tmp_path) == [1, 2, 3]

    text = log(tmp_path).read_text()
    log(tmp_path).write_text(text.removesuffix("\n"))
    write(tmp_path, 4, 4, resumed=3)
    assert steps(tmp_path) == [1, 2, 3, 4]


def test_a_process_of_the_earlier_run_no_longer_reaches_the_log(tmp_path: Path) -> None:
    earlier = Metrics(tmp_path)
    earlier.write(TRAIN, {"step": 1})
    now = Metrics(tmp_path, 1)
    earlier.write(TRAIN, {"step": 2, "of": "a node that was cut off"})
    now.write(TRAIN, {"step": 2})
    assert [len(row) for row in rows(tmp_path)] == [2, 2]


KILLED = """
import sys
from pathlib import Path
from slurmkit.train.metrics import TRAIN, Metrics
metrics = Metrics(Path(sys.argv[1]))
for step in range(1, 10**9):
    metrics.write(TRAIN, {"step": step, "text": "x" * 5000})
    print(step, flush=True)
"""


def test_sigkill_loses_no_line_that_was_written(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        told = process.stdout.read().splitlines()
    # A kill may cut a write that spans pages, so the last line may be half a line.
    whole = log(tmp_path).read_text().rpartition("\n")[0].splitlines()
    assert [json.loads(line)["step"] for line in whole] == list(range(1, len(whole) + 1))
    assert len(whole) >= int(told[-1])


def test_a_full_disk_costs_rows_but_no_training_and_tears_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # TensorBoard's thread ends
    metrics = Metrics(tmp_path, tensorboard=True)
    metrics.write(TRAIN, {"step": 1, "loss": 1.0})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (log(tmp_path).stat().st_size + 10, limits[1]))
        metrics.write(TRAIN, {"step": 2, "loss": 1.0})  # of which ten bytes fit
        resource.setrlimit(resource.RLIMIT_FSIZE, (log(tmp_path).stat().st_size, limits[1]))
        metrics.write(TRAIN, {"step": 3})  # of which none
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    metrics.write(TRAIN, {"step": 4})
    metrics.close()
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(timeout=10)
    assert steps(tmp_path) == [1, 4]
    told = capsys.readouterr().err
    assert told.count(f"a row of {log(tmp_path)} is lost: ") == 2
    assert told.count("no more events for TensorBoard: File too large") == 1


def test_each_row_is_one_write_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    inner = os.write

    def counted(file: int, data: bytes) -> int:
        calls.append(data)
        return inner(file, data)

    monkeypatch.setattr(os, "write", counted)
    metrics = Metrics(tmp_path)
    metrics.write(EXPERTS, {"step": 1, "layers": [{"counts": list(range(50_000))}]})
    assert [data[-1:] for data in calls] == [b"\n"]
    metrics.sync()
    metrics.close()


def test_numbers_that_json_has_not_are_null(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.write(EXPERTS, {"step": 1, "cv": math.nan, "layers": [{"cv": math.inf, "n": [1.5]}]})
    (row,) = rows(tmp_path, EXPERTS)
    assert (row["cv"], row["layers"]) == (None, [{"cv": None, "n": [1.5]}])


def test_other_ranks_and_runs_without_a_directory_write_nothing() -> None:
    metrics = Metrics(None, tensorboard=True)
    metrics.write(TRAIN, {"step": 1})
    metrics.sync()
    metrics.close()


def test_users_read_and_plot_the_logs_as_they_are(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    run = RunDirectory(tmp_path / "7")
    metrics = Metrics(run.path)
    for step in (1, 2):
        metrics.write(TRAIN, {**train_row(STEPS, RANKS, 989.4), "step": step})
        metrics.write(EVAL, {"step": step, "loss": 2.0, "perplexity": math.inf})
        metrics.write(EXPERTS, {"step": step, "entropy": 0.9, "layers": []})
    assert [row["loss"] for row in read_metrics([run])] == [3.0, 3.0]
    for name, field in ((TRAIN, "mfu"), (EVAL, "loss"), (EXPERTS, "entropy")):
        (line,) = plot(read_metrics([run], name), y=field).lines
        assert list(line.get_xdata()) == [1, 2]  # type: ignore[arg-type]


def test_tensorboard_shows_each_step_once_after_a_resume(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for resumed, last, loss in ((0, 5, 1.0), (3, 6, 2.0)):
        metrics = Metrics(tmp_path, resumed, tensorboard=True)
        for step in range(resumed + 1, last + 1):
            metrics.write(TRAIN, {"step": step, "loss": loss, "mfu": None, "text": "x"})
            metrics.write(EVAL, {"step": step, "loss": math.inf})
        # Not closed: what is written must be there after a crash.
        events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        shown = [(event.step, event.value) for event in events.Scalars("train/loss")]
        assert [step for step, _ in shown] == list(range(1, last + 1))
    assert shown == [(step, 1.0 if step <= 3 else 2.0) for step in range(1, 7)]
    assert set(events.Tags()["scalars"]) == {"train/loss", "eval/loss"}


def test_tensorboard_is_imported_only_if_asked_for(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from slurmkit.train.metrics import Metrics\n"
        "Metrics(Path(sys.argv[1]))\n"
        "print('torch' in sys.modules)\n"
        "sys.modules['torch.utils.tensorboard'] = None\n"
        "Metrics(Path(sys.argv[1]), tensorboard=True)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout == "False\n"
    assert "`logging.tensorboard: false`" in ended.stderr


STEPS = Steps(step=4, epoch=0.5, supervised=100, learning_rate=1e-4, grad_norm=0.25, count=2)
FAST = RankRow(180.0, 300, 3e14, 1.9, 0.1, 2**30)
SLOW = RankRow(120.0, 100, 1e14, 2.0, 0.4, 2**31)
RANKS = [FAST, SLOW]


def test_a_row_of_train_log_is_of_all_ranks_at_the_pace_of_the_slowest() -> None:
    row = train_row(STEPS, RANKS, peak_tflops=200.0)
    assert row == {
        "step": 4,
        "epoch": 0.5,
        "loss": 3.0,
        "lr": 1e-4,
        "grad_norm": 0.25,
        "tokens": 400,
        "supervised_tokens": 100,
        "tokens_per_second": 200.0,
        "tokens_per_second_per_gpu": 100.0,
        "mfu": 0.5,  # 4e14 in 2 s on 2 GPUs of 2e14 a second
        "peak_memory_gib": 2.0,
        "data_wait": 0.2,
        "step_time": 1.0,
        "slowest_rank": 1,
    }
    assert train_row(STEPS, RANKS)["mfu"] is None
    assert train_row(replace(STEPS, supervised=0), [replace(FAST, loss_sum=0.0)])["loss"] == 0
