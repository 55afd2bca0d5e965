"""The lines to the nodes: rounds go out, answers come back, and silence has a reason.

A channel is a process, such as an srun or an ssh, whose standard input reaches the probes of one
or more nodes. Nothing here waits longer than it is told to.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import IO, Any, NamedTuple, Union, cast

from .wire import Answer, Reader

_KEPT = 200  # lines of standard error
_LAST_WORDS = 0.3  # seconds
_GRACE = 1.5  # seconds for a step whose input has ended, before it is terminated
_FAILED_TASK = re.compile(r"error: (?P<nodes>[^\s:]+): tasks? [-\d,]+: (?P<why>.+)")
_RANGES = re.compile(r"([^\[\]]*)\[((?:\d+(?:-\d+)?,?)+)\]([^\[\]]*)")
_NOISE = re.compile(r"^srun: (Job step|launch/|Terminating|Force Terminated|job \d+)|^\s*$")


class Channel(NamedTuple):
    """A process that speaks for some nodes: pipes of bytes at its three streams."""

    process: subprocess.Popen[bytes]
    nodes: tuple[int, ...]


class Silence(NamedTuple):
    """Why a node has not answered."""

    reason: str


class Heard(NamedTuple):
    """An answer, and when it came (time.time)."""

    value: Any
    at: float


Word = Union[Heard, Silence]


class StoppedError(Exception):
    """Somebody wants the rounds to end now."""


class Channels:
    """All nodes of a job, by number.

    A round ends with StoppedError once `stop` holds anything, as a signal's handler puts there; to
    close the lines, and to tell what was found, is never broken off.
    """

    def __init__(
        self, channels: Sequence[Channel], names: Sequence[str], stop: Sequence[int] = ()
    ) -> None:
        self._channels = list(channels)
        self._names = {name: number for number, name in enumerate(names)}
        self._stop = stop
        self._round = 0
        self._queue: queue.Queue[tuple[float, Answer | None]] = queue.Queue()
        self._errors: list[deque[str]] = [deque(maxlen=_KEPT) for _ in self._channels]
        self.waited_for: list[int] = []
        """Nodes that have not answered in the round that is going on."""
        self.heard: dict[int, Any] = {}
        """What the others have answered in it."""
        self.gone: dict[int, str] = {}
        """Nodes whose probe has ended, and why."""
        for at in range(len(self._channels)):
            for work in (self._read_answers, self._read_errors):
                threading.Thread(target=work, args=(at,), daemon=True).start()

    @property
    def nodes(self) -> list[int]:
        """The nodes that can still be asked."""
        every = sorted(node for channel in self._channels for node in channel.nodes)
        return [node for node in every if node not in self.gone]

    def run(
        self, name: str, arguments: dict[str, Any], seconds: float, nodes: Sequence[int]
    ) -> dict[int, Word]:
        """Have nodes do a round; return what each says within the seconds, or why it is silent."""
        self._round += 1
        request = {"round": self._round, "do": name, "nodes": list(nodes), **arguments}
        line = json.dumps({**request, "seconds": seconds}).encode() + b"\n"
        for channel in self._channels:
            if set(channel.nodes) & set(nodes):
                # A channel that takes nothing must not hold us up; its nodes stay silent.
                threading.Thread(target=_send, args=(channel, line), daemon=True).start()
        words: dict[int, Word] = {}
        self.heard = {}
        deadline = time.monotonic() + seconds
        while True:
            self.waited_for = [n for n in nodes if n not in words and n not in self.gone]
            left = deadline - time.monotonic()
            if self._stop:
                raise StoppedError
            if not self.waited_for or left <= 0:
                break
            with contextlib.suppress(queue.Empty):
                at, answer = self._queue.get(timeout=min(left, 0.2))
                if answer is not None and answer.round == self._round:
                    words[answer.node] = Heard(answer.value, at)
                    self.heard[answer.node] = answer.value
        for node in nodes:
            if node not in words:
                late = f"no answer in {seconds:.3g} s"
                words[node] = Silence(self.gone.get(node) or late)
        return words

    def close(self) -> None:
        """Let the probes end; end the processes that do not."""
        for channel in self._channels:
            threading.Thread(target=_close, args=(channel,), daemon=True).start()
        for end in ("wait", "terminate", "kill"):
            deadline = time.monotonic() + _GRACE
            for channel in self._channels:
                if channel.process.poll() is None and end != "wait":
                    getattr(channel.process, end)()
            for channel in self._channels:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    channel.process.wait(max(deadline - time.monotonic(), 0.01))
            if all(channel.process.poll() is not None for channel in self._channels):
                return

    def _read_answers(self, at: int) -> None:
        reader, channel = Reader(), self._channels[at]
        for line in cast("IO[bytes]", channel.process.stdout):
            now = time.time()
            answer = reader.read(line)
            if answer is not None:
                self._queue.put((now, answer))
            else:
                self._errors[at].append(line.decode(errors="replace").strip())
        with contextlib.suppress(subprocess.TimeoutExpired):
            channel.process.wait(1)
        time.sleep(_LAST_WORDS)
        for node in channel.nodes:
            self.gone.setdefault(node, self._why(at))
        self._queue.put((0.0, None))

    def _read_errors(self, at: int) -> None:
        channel = self._channels[at]
        if channel.process.stderr is None:
            return
        for raw in channel.process.stderr:
            line = raw.decode(errors="replace").strip()
            self._errors[at].append(line)
            found = _FAILED_TASK.search(line)
            for name in expanded(found["nodes"]) if found else ():
                if found and self._names.get(name) in channel.nodes:
                    # The program's own last words may come behind srun's.
                    lost = (at, self._names[name], found["why"])
                    threading.Timer(_LAST_WORDS, self._lose, lost).start()

    def _lose(self, at: int, node: int, last: str) -> None:
        self.gone.setdefault(node, self._why(at, last))
        self._queue.put((0.0, None))

    def _why(self, at: int, last: str = "") -> str:
        """Say what a probe that has ended wrote last."""
        lines = [line for line in self._errors[at] if not _NOISE.search(line)]
        own = [line for line in lines if not _FAILED_TASK.search(line)]
        code = self._channels[at].process.poll()
        ended = last or (f"exit code {code}" if code is not None else "")
        text = "; ".join([*own[-2:], *([ended] if ended else [])])
        return f"its probe ended: {text}" if text else "its probe ended without a word"


def expanded(names: str) -> list[str]:
    """Return the nodes that srun means by `node[1-2,7]`."""
    found = _RANGES.fullmatch(names)
    if found is None:
        return [names]
    every = []
    for part in found[2].split(","):
        first, _, last = part.partition("-")
        numbers = range(int(first), min(int(last or first), int(first) + 10_000) + 1)
        every += [f"{found[1]}{number:0{len(first)}d}{found[3]}" for number in numbers]
    return every


def _send(channel: Channel, line: bytes) -> None:
    stdin = cast("IO[bytes]", channel.process.stdin)
    with contextlib.suppress(OSError, ValueError):
        stdin.write(line)
        stdin.flush()


def _close(channel: Channel) -> None:
    with contextlib.suppress(OSError, ValueError):
        cast("IO[bytes]", channel.process.stdin).close()
