"""Exit codes as Slurm tells them, `CODE:SIGNAL`, and what they usually mean."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field

_WORDS = {
    1: "an error of the program",
    2: "wrong use: a command line or a config that the program refuses",
    126: "the program is there but cannot be executed",
    127: "no such program",
    139: "a segmentation fault",
}
_NO_FILE = 53
"""What Slurm writes for a job that it could not even start, as if it were a signal."""
_SIGNALLED = range(129, 129 + 64)
_BY_SIGNAL = {
    "SIGKILL": "often for want of memory",
    "SIGTERM": "told to end, as when another rank has failed",
}
_BY_SIGNAL |= {"SIGSEGV": "a segmentation fault", "SIGABRT": "it aborted", "SIGBUS": "a bus error"}


@dataclass(frozen=True, slots=True)
class ExitCode:
    """How a job or a step ended."""

    code: int
    """What it exited with; 0 when a signal ended it."""
    signal: int = 0
    """The signal that ended it; 0 when none did."""
    folded: bool = field(default=False, compare=False)
    """Whether it may have been 128 more, which sacct takes off codes above 128."""

    def __str__(self) -> str:
        return f"{self.code}:{self.signal}"

    @property
    def is_killed(self) -> bool:
        """Tell whether a signal ended a process; 53 is Slurm's own mark."""
        return self.signal not in (0, _NO_FILE)

    @property
    def words(self) -> str:
        """The code in words, such as `exit code 127: no such program`."""
        if self.signal:
            if not self.is_killed:
                return f"{self}: its log file or its directory could not be opened on the node"
            return _killed(self.signal)
        if self.folded and _killed(self.code).endswith(")"):
            both = f"{self.code}, or {self.code + 128} (sacct takes 128 off)"
            return f"exit code {both}: {_killed(self.code)}"
        if self.code in _WORDS:
            return f"exit code {self.code}: {_WORDS[self.code]}"
        if self.code in _SIGNALLED:
            return f"exit code {self.code}: {_killed(self.code - 128)}"
        return f"exit code {self.code}"


def read_exit_code(text: str) -> ExitCode | None:
    """Read `CODE:SIGNAL`, or a bare code; None for anything else."""
    match = re.fullmatch(r"(\d{1,5})(?::(\d{1,5}))?", text.strip())
    if not match:
        return None
    return ExitCode(int(match[1]), int(match[2] or 0) & 127)


def read_wait_status(text: str) -> ExitCode | None:
    """Read the status that wait(2) gives, which squeue 22.05 writes: 256 is exit code 1."""
    if not re.fullmatch(r"\d{1,10}", text):
        return None
    status = int(text)
    return ExitCode(status >> 8 & 255, 0) if not status & 127 else ExitCode(0, status & 127)


def _killed(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"ended by signal {number}"
    why = _BY_SIGNAL.get(name)
    return f"ended by {name}" + (f" ({why})" if why else "")
