"""What a batch script asks Slurm for, read from its #SBATCH lines."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from signal import Signals

from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.slurm.scalars import parse_time

PARTITION = "simulate"
_SHORT = {
    **{"J": "job-name", "N": "nodes", "n": "ntasks", "c": "cpus-per-task", "t": "time"},
    **{"D": "chdir", "p": "partition", "A": "account", "q": "qos"},
}
_DEFAULT_LEAD = 60  # man sbatch, --signal: "default is 60 seconds"
_SIGNAL = re.compile(r"(?:(?P<flags>[BR]+):)?(?P<name>[A-Z0-9]+)(?:@(?P<lead>\d+))?", re.IGNORECASE)


@dataclass(frozen=True)
class TimeWarning:
    """The signal that Slurm sends before the time limit: --signal=B:USR1@120."""

    signal: Signals
    lead: int
    """Seconds before the end."""
    batch_only: bool
    """Only the batch shell gets it; otherwise only the steps do."""
    rehearsed: bool = False
    """Whether `--signal` moved it here."""


@dataclass(frozen=True)
class Allocation:
    """The parts of a request that a simulation takes notice of."""

    name: str
    nodes: int
    tasks: int | None
    tasks_per_node: int | None
    cpus_per_task: int | None
    gpus_per_node: int
    memory: str | None
    """A node's, as it was asked for."""
    seconds: int | None
    warning: TimeWarning | None
    directory: str | None
    partition: str
    account: str | None
    qos: str | None
    requeue: bool
    """Whether Slurm may run the job again; without a word from the script it may (JobRequeue=1)."""
    appends: bool
    """Whether the log of a requeued job goes on where it was (--open-mode=append)."""
    tasks_of_array: range | None = None
    """The numbers of the array's tasks."""

    @property
    def tasks_of_nodes(self) -> list[int]:
        """How many tasks each node is to run; Slurm's default is one."""
        if self.tasks is None or self.tasks_per_node:
            return [self.tasks_per_node or 1] * self.nodes
        share, odd = divmod(self.tasks, self.nodes)
        return [share + (node < odd) for node in range(self.nodes)]

    @property
    def cpus_of_nodes(self) -> list[int]:
        """CPUs of this job on each node; Slurm's default is one a task."""
        return [tasks * (self.cpus_per_task or 1) for tasks in self.tasks_of_nodes]


def directives(script: str) -> dict[str, str]:
    """Return the options in a script's #SBATCH lines by their long names, as sbatch reads them."""
    options: dict[str, str] = {}
    for line in script.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            break
        if line.startswith("#SBATCH"):
            options |= _options(shlex.split(line.removeprefix("#SBATCH"), comments=True))
    return options


def _options(words: list[str]) -> dict[str, str]:
    """Read the words of one line: --nodes=2, --nodes 2, -N2, -N 2, --requeue."""
    options: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
        else:
            name, value = _SHORT.get(word[1:2], word), word[2:]
            equals = value
        if not equals and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
        options[name] = value
    return options


def read_allocation(script: str) -> Allocation:
    """Read what the script asks for."""
    options = directives(script)

    def number(name: str) -> int | None:
        return int(options[name]) if name in options else None

    return Allocation(
        name=options.get("job-name", "sbatch"),
        nodes=number("nodes") or 1,
        tasks=number("ntasks"),
        tasks_per_node=number("ntasks-per-node"),
        cpus_per_task=number("cpus-per-task"),
        gpus_per_node=_gpus(options),
        memory=options.get("mem"),
        seconds=parse_time(options["time"]) if "time" in options else None,
        warning=_warning(options.get("signal")),
        directory=options.get("chdir"),
        partition=options.get("partition", PARTITION),
        account=options.get("account"),
        qos=options.get("qos"),
        requeue="no-requeue" not in options,
        appends=options.get("open-mode", "").startswith("a"),
        tasks_of_array=_array(options.get("array")),
    )


def _array(text: str | None) -> range | None:
    if text is None:
        return None
    match = re.fullmatch(r"0-(\d+)(?:%\d+)?", text)
    if match is None:
        raise SimulationError(f"--array={text}: only arrays that begin with 0 are simulated")
    return range(int(match[1]) + 1)


def _gpus(options: dict[str, str]) -> int:
    for name in ("gpus-per-node", "gres"):
        if count := re.search(r"(?:^|:)(\d+)$", options.get(name, "")):
            return int(count[1])
    return 0


def _warning(text: str | None) -> TimeWarning | None:
    match = _SIGNAL.fullmatch(text or "")
    if match is None:
        return None
    name = match["name"].upper()
    try:
        long = f"SIG{name.removeprefix('SIG')}"
        found = Signals(int(name)) if name.isdigit() else Signals[long]
    except (KeyError, ValueError):
        raise SimulationError(f"--signal={text}: no such signal; sbatch refuses it, too") from None
    lead = int(match["lead"] or _DEFAULT_LEAD)
    return TimeWarning(found, lead, "B" in (match["flags"] or "").upper())
