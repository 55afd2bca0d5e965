"""What the program says of itself in the run directory: `events/rank0.jsonl`, by rank 0."""

from __future__ import annotations

import json
import time
from typing import Any

from slurmkit.train.rundir import attempt, run_directory


def record(event: str, **fields: Any) -> None:
    """Append a line: time, event, attempt and the fields. For rank 0.

    A disk that is full is no reason to fail; without a run directory nothing is written.
    """
    directory = run_directory()
    if directory is None:
        return
    line = {"time": round(time.time(), 3), "event": event, "attempt": attempt(), **fields}
    try:
        (directory / "events").mkdir(parents=True, exist_ok=True)
        with (directory / "events" / "rank0.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError:
        pass
