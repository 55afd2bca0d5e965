"""Run a job's scripts on all hosts at once; when one part ends badly, end all of them everywhere.

Each host's script hangs on a lifeline: words that are written every few seconds into its SSH
session. When they stop, because this process was ended or the network was cut, the host ends
its part by itself (templates/hosts/over_ssh.sh.j2).
"""

from __future__ import annotations

import contextlib
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.output import Stream
from slurmkit.launch.ssh_client import UNREACHABLE, Session, Ssh

if TYPE_CHECKING:
    from types import FrameType

    from slurmkit.launch.ssh_output import Output

_TICK = 0.25  # seconds
_RANK = re.compile(rb"slurmkit: (rank \d+ on \S+) ended with (exit code \d+)")
_ENDING = ("TERM", "INT", "HUP")


@dataclass
class Part:
    """One host's part of the job."""

    host: str
    node: str
    """The host's address, as logs and messages call it."""
    script: str
    """What its bash is given to read."""
    code: int | None = None
    """What it ended with."""
    session: Session | None = None

    @property
    def lives(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self.session is not None and self.code is None

    def tell(self, word: str) -> None:
        """Write into its lifeline."""
        if self.session is not None:
            self.session.write(f"{word}\n".encode())

    def let_go(self) -> None:
        """Cut its lifeline."""
        if self.session is not None:
            self.session.close()


@dataclass
class Run:
    """A job on its hosts, from start to end."""

    ssh: Ssh
    parts: Sequence[Part]
    output: Output
    grace: int
    """Seconds from TERM to KILL on the hosts."""
    orders: Callable[[], list[str]] = list
    """Asked now and then for signals that other processes want sent."""
    first: str | None = None
    """The first rank, or else host, that failed, and how."""
    code: int = 0
    """What that host's part ended with; 143 when the job was cancelled."""
    cancelled: bool = False
    _first_rank: str | None = None
    _signals: list[str] = field(default_factory=list)
    _ending_since: float | None = None

    def run(self) -> str:
        """Run to the end; return the state in Slurm's words."""
        selector = selectors.DefaultSelector()
        with selector, self._signals_noted(), self._heartbeat():
            try:
                self._start(selector)
                self._follow(selector)
            finally:
                self._end_for_good()
        if self.cancelled:
            self.code = 143
            return "CANCELLED"
        return "COMPLETED" if all(part.code == 0 for part in self.parts) else "FAILED"

    def _start(self, selector: selectors.BaseSelector) -> None:
        for index, part in enumerate(self.parts):
            part.session = self.ssh.start(part.host, part.script)
            ways = ((part.session.out, self.output.out), (part.session.err, self.output.err))
            for file, sink in ways:
                stream = Stream(file.fileno(), sink, sink.label(part.node, index), self._listen)
                selector.register(stream.descriptor, selectors.EVENT_READ, stream)

    def _follow(self, selector: selectors.BaseSelector) -> None:
        while selector.get_map() or any(part.lives for part in self.parts):
            if selector.get_map():
                for key, _ in selector.select(_TICK):
                    if not key.data.pass_on():
                        selector.unregister(key.fd)
            else:
                time.sleep(_TICK)
            for part in self.parts:
                self._look_at(part)
            for word in [*self._signals, *self.orders()]:
                self._signal(word)
            self._signals.clear()
            if self._ending_since is not None and not self._keep_ending():
                return

    def _listen(self, line: bytes) -> bool:
        if self._first_rank is None and (match := _RANK.search(line)):
            self._first_rank = f"{match[1].decode()} ({match[2].decode()})"
        return True

    def _look_at(self, part: Part) -> None:
        if part.session is None or part.code is not None:
            return
        part.code = part.session.process.poll()
        if not part.code:
            return
        if self.first is None and self._ending_since is None:
            self.code = part.code
            how = "lost: no word from it" if part.code == UNREACHABLE else f"exit code {part.code}"
            self.first = f"{part.node} ({how})"
            others = [other for other in self.parts if other.lives]
            if others:
                names = ", ".join(other.node for other in others)
                self.output.say(f"{self.first}: ending the job on {names}")
        self._end()

    def _signal(self, word: str) -> None:
        if word not in _ENDING:
            for part in self.parts:
                part.tell(word)
            return
        if self.cancelled:  # asked twice
            self._ending_since = 0.0
        elif self._ending_since is None:
            self.output.say("ending the job on all hosts (once more to wait no longer)")
        self.cancelled = self.cancelled or self.first is None
        self._end()

    def _end(self) -> None:
        if self._ending_since is None:
            self._ending_since = time.monotonic()
            for part in self.parts:
                part.tell("TERM")

    def _keep_ending(self) -> bool:
        """Return whether to wait on for the hosts that are still ending."""
        seconds = time.monotonic() - (self._ending_since or 0.0)
        lost = [part.node for part in self.parts if part.lives]
        if not lost or seconds < self.grace + 15:
            return True
        for part in self.parts:
            part.let_go()
        if seconds < self.grace + 25:
            return True
        self.output.say(f"{', '.join(lost)}: no word that it has ended; it ends by itself")
        return False

    def _end_for_good(self) -> None:
        for part in self.parts:
            part.let_go()
            if part.session is not None:
                process = part.session.process
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5 if part.lives else 0.1)
                if process.poll() is None:
                    process.kill()
                part.code = process.wait() if part.code is None else part.code
                part.session.out.close()
                part.session.err.close()
        if self._first_rank is not None and self.first is not None:
            self.first = self._first_rank

    @contextlib.contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Keep the lifelines alive: in a thread, because a terminal that is halted halts us."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(max(self.ssh.patience / 6, _TICK)):
                for part in self.parts:
                    part.tell("alive")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()

    @contextlib.contextmanager
    def _signals_noted(self) -> Iterator[None]:
        def note(number: int, _: FrameType | None) -> None:
            self._signals.append(signal.Signals(number).name.removeprefix("SIG"))

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        before = {number: signal.signal(number, note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
