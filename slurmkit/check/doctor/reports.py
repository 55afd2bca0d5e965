"""What launchers say when ranks fail: torchrun's report (rank, host, exit code), srun's lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmkit.check.doctor.lines import read_line
from slurmkit.check.doctor.stamps import Stamp, find_stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LAST = 512 << 10  # bytes of a file's end in which reports stand
_WORDS = (b"exitcode", b"srun: error: ", b"simulate: job ", b'"event": "ended"')
_ROOT = re.compile(r"Root Cause \(first observed failure\)")
_ITEM = re.compile(
    r"^\s*time\s*: *(?P<time>\d{4}-\S+)\s*\n"
    r"\s*host\s*: *(?P<host>\S+)\s*\n"
    r"\s*rank\s*: *(?P<rank>\d+)(?: *\(local_rank: *\d+\))?\s*\n"
    r"\s*exitcode\s*: *(?P<code>-?\d+)(?: *\(pid: *(?P<pid>\d+)\))?[^\n]*\n"
    r"(?:\s*error_file\s*: *(?P<file>\S+))?",
    re.MULTILINE,
)
_OF_ONE = re.compile(
    r"failed \(exitcode: *(?P<code>-?\d+)\) local_rank: *(?P<rank>\d+) \(pid: *(?P<pid>\d+)\)"
)
_MOST_TASKS = 4096  # of a node
_SRUN = re.compile(r"srun: error: (?P<node>[^\s:]+): tasks? (?P<tasks>[\d,-]+): (?P<how>.+)")
_TOLD_TO_END = re.compile(r"Terminated|Exited with exit code (?:0|143)\b")
_ENDED = re.compile(
    r"CANCELLED AT|Terminating|Force Terminated|Job step aborted|srun: error: .*: task"
)
_SIMULATED = re.compile(
    r"(?:^simulate: job \S+ FAILED\b.*; first to fail: |\"event\": \"ended\", .*\"first\": \")"
    r"(?P<who>rank|task) (?P<rank>\d{1,6}) on (?P<node>[\w.-]+) "
    r"\((?P<how>signal|exit code) (?P<code>\d{1,3})\)",
    re.MULTILINE,
)
_HERE = ("localhost", "127.0.0.1", "localhost.localdomain")  # names that tell no node
_ENDED_BY_ANOTHER = ("-15", "143")
_LAST_OWN = 126  # from there on a shell's words for what it could not run
_OF_A_SIGNAL = 128  # a shell adds the signal's number to it


@dataclass(frozen=True, slots=True)
class Failed:
    """A rank of which a launcher says that it failed."""

    rank: int | None
    node: str | None
    code: str
    stamp: Stamp | None = None
    error_file: str | None = None
    is_root: bool = False

    @property
    def by_another(self) -> bool:
        """Tell whether it was only ended after another had failed."""
        return self.code in _ENDED_BY_ANOTHER

    @property
    def by_signal(self) -> bool:
        """Tell whether a signal may have ended it; what returned a small code was not killed."""
        return not self.code.isdigit() or int(self.code) > _OF_A_SIGNAL

    @property
    def is_own_code(self) -> bool:
        """Tell whether it is a code that only a program gives: neither Python's nor a shell's."""
        return self.code.isdigit() and 2 < int(self.code) < _LAST_OWN

    @property
    def words(self) -> str:
        """Who failed, where and how: `rank 2 on node1 failed first (exit code 7)`."""
        rank = f"rank {self.rank}" if self.rank is not None else "one process"
        where = f" on {self.node}" if self.node else ""
        if not re.fullmatch(r"-?\d+", self.code):
            return f"{rank}{where} failed first ({self.code})"
        number = int(self.code)
        how = f"signal {-number}" if number < 0 else f"exit code {number}"
        return f"{rank}{where} failed first ({how})"


@dataclass(frozen=True, slots=True)
class Reports:
    """All that launchers say of a job."""

    workers: tuple[Failed, ...] = ()
    """Of torchrun."""
    tasks: tuple[Failed, ...] = ()
    """Of srun; a task is a rank only where no torchrun stands between."""
    nodes: dict[int, str] = field(default_factory=dict)
    """Of ranks."""
    simulated: Failed | None = None
    """Of a simulation, which knows the names of its nodes and the rank behind a launcher."""

    @property
    def first(self) -> Failed | None:
        """The rank that failed first, as far as launchers know."""
        if self.simulated is not None and not self.simulated.by_another:
            return self.simulated
        workers = [worker for worker in self.workers if not worker.by_another]
        roots = [worker for worker in workers if worker.is_root] or workers
        if roots:
            return min(roots, key=lambda one: one.stamp.seconds if one.stamp else 0.0)
        if self.workers:
            return None
        return next((task for task in self.tasks if not task.by_another), None)


def read_reports(paths: Iterable[Path]) -> Reports:
    """Read the ends of files."""
    workers: list[Failed] = []
    tasks: list[Failed] = []
    simulated = None
    for path in paths:
        text = _plain(path)
        workers += _workers(text)
        tasks += _tasks(text)
        simulated = _simulated(text) or simulated
    nodes = {one.rank: one.node for one in workers if one.rank is not None and one.node}
    if not workers:
        nodes = {one.rank: one.node for one in tasks if one.rank is not None and one.node}
    if simulated is not None and simulated.rank is not None and simulated.node:
        nodes[simulated.rank] = simulated.node
    return Reports(tuple(workers), tuple(tasks), nodes, simulated)


def _simulated(text: str) -> Failed | None:
    """Return what the last simulation of a text says; it is known by its own words."""
    found = list(_SIMULATED.finditer(text))
    if not found:
        return None
    match = found[-1]
    rank = int(match["rank"]) if match["who"] == "rank" else None
    sign = "-" if match["how"] == "signal" else ""
    return Failed(rank, match["node"], f"{sign}{match['code']}")


def _workers(text: str) -> list[Failed]:
    roots = [match.end() for match in _ROOT.finditer(text)]
    found = []
    for match in _ITEM.finditer(text):
        is_root = any(0 <= match.start() - root < 200 for root in roots)
        file = match["file"] if match["file"] not in (None, "<N/A>") else None
        stamp = find_stamp(match["time"])
        host = match["host"] if match["host"] not in _HERE else None
        found.append(Failed(int(match["rank"]), host, match["code"], stamp, file, is_root))
    if not found:  # the report is missing, or cut
        return [Failed(None, None, match["code"]) for match in _OF_ONE.finditer(text)]
    return found


def _tasks(text: str) -> list[Failed]:
    found = []
    for match in _SRUN.finditer(text):
        code = re.search(r"exit code (\d+)", match["how"])
        is_told = _TOLD_TO_END.search(match["how"]) is not None
        if "Killed" in match["how"]:  # the first one was not: srun ends the step because of it
            is_told = _ENDED.search(text, 0, match.start()) is not None
        how = "143" if is_told else code[1] if code else match["how"]
        found += [Failed(task, match["node"], how) for task in _numbers(match["tasks"])]
    return found


def _numbers(text: str) -> list[int]:
    """Return the tasks of `0,2-3`; of more than a node can have, the first alone."""
    found: list[int] = []
    for first, last in re.findall(r"(\d{1,6})(?:-(\d{1,6}))?", text):
        end = int(last or first)
        found += range(int(first), end + 1 if end - int(first) < _MOST_TASKS else int(first) + 1)
    return found


def _plain(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LAST))
            raw = file.read()
    except OSError:
        return ""
    if not any(word in raw for word in _WORDS):
        return ""
    return "\n".join(said.text for line in raw.split(b"\n") for said in read_line(line))
