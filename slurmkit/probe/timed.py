"""Work that may hang, each piece with a time-out and its own outcome."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable

Work = Callable[[], Any]


def together(works: Mapping[str, tuple[float, Work]]) -> dict[str, Any]:
    """Do several things side by side, each for so many seconds; return what came of each.

    What fails is `{"error": why}`, what is not done in time `{"timeout": seconds}`: its thread is
    left behind, and dies with the process.
    """
    outcomes: dict[str, Any] = {}

    def do(name: str, work: Work) -> None:
        try:
            outcome = work()
        except Exception as error:
            outcome = {"error": reason(error)}
        outcomes.setdefault(name, outcome)

    started = time.monotonic()
    threads: list[tuple[str, float, threading.Thread]] = []
    for name, (seconds, work) in works.items():
        thread = threading.Thread(target=do, args=(name, work), daemon=True)
        thread.start()
        threads.append((name, seconds, thread))
    for name, seconds, thread in threads:
        thread.join(max(started + seconds - time.monotonic(), 0.001))
        outcomes.setdefault(name, {"timeout": seconds})
    return dict(outcomes)


def each(items: Sequence[Any], seconds: float, work: Callable[[Any], Any]) -> dict[str, Any]:
    """Do the same with all items side by side, a few dozen at a time."""
    deadline = time.monotonic() + seconds
    outcomes: dict[str, Any] = {}
    for at in range(0, len(items), 64):
        left = max(deadline - time.monotonic(), 0.001)
        some = {str(item): (left, partial(work, item)) for item in items[at : at + 64]}
        outcomes.update(together(some))
    return outcomes


def reason(error: BaseException) -> str:
    """Say in a few words what went wrong."""
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error) or type(error).__name__


def output(
    words: Sequence[str], seconds: float, environment: dict[str, str] | None = None,
    *, whatever: bool = False,
) -> str:  # fmt: skip
    """Return what a command prints; nothing where it cannot be run, fails or takes too long.

    With `whatever`, also what one prints that fails, and its errors.
    """
    try:
        ran = subprocess.run(
            list(words),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if whatever else subprocess.DEVNULL,
            timeout=seconds,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ran.stdout.decode(errors="replace") if whatever or ran.returncode == 0 else ""
