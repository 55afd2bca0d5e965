"""What a probe holds between rounds: listeners, files that it wrote, ranks that it started."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Any


class Place:
    """The state of one node's probe."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sockets: dict[str, socket.socket] = {}
        self.files: list[str] = []
        """Files of the probe's own, which it removes at its end."""
        self.checksums: dict[str, dict[str, str]] = {}
        """By data path, what each file was found to hold."""
        self.ranks: Any | None = None
        self.left = threading.Event()

    def leave(self) -> None:
        """Put everything back as it was."""
        if self.ranks is not None:
            self.ranks.kill()
        for path in self.files:
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
        for opened in self.sockets.values():
            with contextlib.suppress(OSError):
                opened.close()
        self.left.set()
