"""The process that runs a node's ranks (rank.py), seen from the probe."""

from __future__ import annotations

import contextlib
import json
import os
import pkgutil
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, Any, cast

from ..timed import reason

_LATE = 3.0  # seconds that it has to tell of ranks that are late


class Ranks:
    """One process that has torch, from which ranks are forked."""

    def __init__(self) -> None:
        source = pkgutil.get_data(__package__.rpartition(".")[0], "rank.py") or b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", source.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "NCCL_DEBUG": os.environ.get("NCCL_DEBUG", "WARN")},
            start_new_session=True,
        )
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ready(self, seconds: float) -> dict[str, Any]:
        """Wait until torch has been imported."""
        return self._next(seconds, "import torch")

    def run(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Have this node's ranks take part in an all-reduce."""
        try:
            stdin = cast("IO[bytes]", self._process.stdin)
            stdin.write(json.dumps(wanted).encode() + b"\n")
            stdin.flush()
        except OSError as error:
            return {"error": f"the ranks' process has ended: {reason(error)}"}
        return self._next(wanted["seconds"] + _LATE, "the all-reduce")

    def kill(self) -> None:
        """End it, and its ranks."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _next(self, seconds: float, what: str) -> dict[str, Any]:
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return {"error": f"{what} is not done in {seconds:.3g} s", "hangs": True}

    def _read(self) -> None:
        for line in cast("IO[bytes]", self._process.stdout):
            if line.startswith(b"@rank "):
                with contextlib.suppress(ValueError):
                    self._lines.put(json.loads(line[len(b"@rank ") :]))
        code = self._process.wait()
        time.sleep(0.05)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._lines.put({"error": "; ".join(["the ranks' process ended", how, *lines[-1:]])})
