"""What rank 0 writes down: `metrics/{train_log,eval_log,expert_usage}.jsonl`, TensorBoard's events.

Each row is one line of JSON with the fields time (seconds since 1970) and step, written by one
call to the end of its file: a process that is killed loses no row that it wrote. A number that is
not finite is null, for JSON has no name for it.

A job that continues from step N cuts the rows behind N first, and a half-written last line: it
will make them anew, and no step is there twice. The files are replaced, not shortened, so that a
process of the earlier run that still lives (on a node that was cut off) writes into the old ones.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TRAIN, EVAL, EXPERTS = "train_log", "eval_log", "expert_usage"
"""The logs, by their files' names."""
_TAGS = {TRAIN: "train", EVAL: "eval", EXPERTS: "experts"}


class Metrics:
    """The open logs of one run."""

    def __init__(self, run: Path | None, step: int = 0, *, tensorboard: bool = False) -> None:
        """Open the logs, and cut what an earlier run of the job wrote behind the step.

        Args:
            run: the run directory; rows go into `metrics/` there, TensorBoard's events into
                `tensorboard/`. None: nothing is written, as on all ranks but rank 0.
            step: the step to continue from; 0: the run begins, and older rows go.
            tensorboard: whether to write TensorBoard's events.

        Raises:
            ImportError: there is no TensorBoard.
            OSError: the directory cannot be written.
        """
        self._files: dict[str, _Lines] = {}
        self._board: Any = None
        if run is None:
            return
        directory = run / "metrics"
        directory.mkdir(parents=True, exist_ok=True)
        for name in _TAGS:
            path = directory / f"{name}.jsonl"
            _cut(path, step)
            self._files[name] = _Lines(path)
        if tensorboard:
            self._board = _summary_writer(run / "tensorboard", step)

    def write(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a row to a log. It must have a step.

        Where the disk is full the row is lost, and told: that ends no training.
        """
        if not self._files:
            return
        row = {"time": time.time(), **row}
        text = json.dumps(_finite(row), ensure_ascii=False, allow_nan=False)
        self._files[name].add(text.encode() + b"\n")
        if self._board is not None:
            try:
                self._show(_TAGS[name], row)
            except OSError as error:
                self._board = None
                _warn(f"no more events for TensorBoard: {error.strerror}")

    def sync(self) -> None:
        """Have all rows on the disk, to be called before a checkpoint.

        A job that continues from the checkpoint finds all rows up to its step, even if this node
        lost its power behind it.
        """
        for file in self._files.values():
            file.sync()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        if self._board is not None:
            with suppress(OSError):
                self._board.close()

    def _show(self, group: str, row: Mapping[str, Any]) -> None:
        for field, value in row.items():
            if field not in ("time", "step") and isinstance(value, int | float):
                tag = f"{group}/{field}"
                self._board.add_scalar(tag, value, row["step"], walltime=row["time"])
        self._board.flush()


class _Lines:
    """A file that whole lines are added to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def add(self, line: bytes) -> None:
        try:
            size = os.fstat(self._file).st_size
            if os.write(self._file, line) == len(line):
                return
            os.ftruncate(self._file, size)  # half a line would spoil the next one
            reason = "no space left for it"
        except OSError as error:
            reason = str(error.strerror)
        _warn(f"a row of {self._path} is lost: {reason}")

    def sync(self) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            _warn(f"{self._path} may not be on the disk: {error.strerror}")

    def close(self) -> None:
        os.close(self._file)


def _warn(text: str) -> None:
    with suppress(OSError):  # the job's output may be on the same full disk
        print(f"slurmkit: {text}", file=sys.stderr, flush=True)


def _cut(path: Path, step: int) -> None:
    """Replace the file by one without the rows behind the step, and without half a line."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.writelines(line + b"\n" for line in lines if _stays(line, step))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _stays(line: bytes, step: int) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and isinstance(row.get("step"), int) and row["step"] <= step


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return value


def _summary_writer(directory: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "TensorBoard's events need tensorboard: pip install 'slurmkit-torch[train]', or set "
            "`logging.tensorboard: false`",
            name=error.name,
        ) from error
    # Events are never taken back: TensorBoard hides those behind purge_step.
    return SummaryWriter(directory, purge_step=step + 1)
