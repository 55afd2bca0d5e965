"""What an entrypoint leaves in its run directory: result.json and status.json.

The run directory is ``SLURMKIT_RUN_DIR``; where that is unset, nothing is written.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Status:
    """How a job ended; an entrypoint may change it while it runs."""

    state: str = "done"
    """done, stopped or failed."""
    reason: str | None = None
    """Why it stopped or failed."""
    step: int | None = None
    """The last finished step; None where there are no steps."""


def run_directory() -> Path | None:
    """Return the run directory, or None if this process has none."""
    directory = os.environ.get("SLURMKIT_RUN_DIR")
    return Path(directory) if directory else None


def attempt() -> int:
    """Return how often this job was started before, by requeues and restarts."""
    return int(os.environ.get("SLURMKIT_ATTEMPT") or 0)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON so that a reader sees the whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_result(result: Any) -> None:
    """Write result.json into the run directory, if there is one. For rank 0.

    What JSON cannot hold is not written, and said: it is no reason to fail a job that is done.
    """
    directory = run_directory()
    if directory is None:
        return
    try:
        write_json(directory / "result.json", result)
    except OSError as error:
        print(f"slurmkit: no result.json: {error}", file=sys.stderr)
    except (TypeError, ValueError, RecursionError) as error:
        print(
            f"slurmkit: no result.json: main(config) returned what JSON cannot hold ({error}); "
            "return dicts, lists, texts and numbers",
            file=sys.stderr,
        )


def forget_result() -> None:
    """Remove the result.json of an earlier run of this job. For rank 0, at its start."""
    directory = run_directory()
    if directory:
        (directory / "result.json").unlink(missing_ok=True)


def wants_requeue() -> bool:
    """Tell whether the program has stopped without being done, and its user has not ended it."""
    directory = run_directory()
    if directory is None or (directory / "STOP").exists():
        return False
    try:
        status = json.loads((directory / "status.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(status, dict) and status.get("state") == "stopped"


def write_status(status: Status) -> None:
    """Write status.json into the run directory, if there is one. For rank 0.

    A disk that is full is told, and no reason to fail: the work is done or has an error of its own.
    """
    directory = run_directory()
    if directory is None:
        return
    try:
        write_json(directory / "status.json", asdict(status))
    except OSError as error:
        print(f"slurmkit: cannot write status.json: {error}", file=sys.stderr)


def forget_status() -> None:
    """Remove the status.json of an earlier run of this job. For rank 0, at its start."""
    directory = run_directory()
    if directory:
        (directory / "status.json").unlink(missing_ok=True)


@contextmanager
def recorded_status(rank: int) -> Iterator[Status]:
    """Write status.json when the block ends, however it ends; only rank 0 does."""
    status = Status()
    try:
        yield status
    except BaseException as error:
        status.state = "failed"
        status.reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise
    finally:
        if rank == 0:
            write_status(status)
