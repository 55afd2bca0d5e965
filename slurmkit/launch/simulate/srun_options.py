"""The options of srun that the stand-in knows; any other is an error, never a guess."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.nodes import node_name
from slurmkit.slurm.hostlist import expand_nodelist
from slurmkit.slurm.scalars import GrammarError

if TYPE_CHECKING:
    from slurmkit.launch.simulate.cluster import Job

_SHORT = {
    **{"N": "nodes", "n": "ntasks", "c": "cpus-per-task", "w": "nodelist", "D": "chdir"},
    **{"K": "kill-on-bad-exit", "W": "wait", "l": "label", "u": "unbuffered", "J": "job-name"},
}
_FLAGS = {"overlap", "exact", "label", "unbuffered"}
_MAY_HAVE_VALUE = {"kill-on-bad-exit"}
_HONOURED = {
    *("nodes", "ntasks", "ntasks-per-node", "cpus-per-task", "nodelist", "chdir"),
    *("kill-on-bad-exit", "wait", "export", "gpus-per-node", "gres"),
}
_WITHOUT_EFFECT = {  # they share out a node's memory, cores and devices, or name the step
    *("overlap", "exact", "label", "unbuffered", "job-name", "mem", "mem-per-cpu"),
    *("cpu-bind", "mem-bind", "gpu-bind", "hint"),
}
_ONLY = {"wait": "0", "export": "ALL"}


class OptionError(ValueError):
    """An option that the stand-in does not know, or that cannot be met."""


@dataclass(frozen=True)
class Options:
    """What one srun was asked for."""

    nodes: list[int]
    """The job's nodes that the step runs on."""
    tasks: int
    cpus_per_task: int | None
    directory: str | None
    kill_on_bad_exit: bool
    gpus: bool
    """Whether the step sees the job's GPUs."""
    command: list[str] = field(default_factory=list)


def read_options(words: list[str], job: Job) -> Options:
    """Read srun's command line.

    Raises:
        OptionError: with what is wrong, naming the option.
    """
    given, command = _split(words)
    for name, only in _ONLY.items():
        if given.get(name, only) != only:
            raise OptionError(f"--{name}={given[name]}: a simulation knows --{name}={only} only")
    if not command:
        raise OptionError("No command given to execute.")
    nodes = _nodes(given, job)
    per_node = _number(given, "ntasks-per-node") or job.tasks_per_node or 1
    tasks = _number(given, "ntasks") or len(nodes) * per_node
    return Options(
        nodes=nodes[:tasks],
        tasks=tasks,
        cpus_per_task=_number(given, "cpus-per-task"),
        directory=given.get("chdir"),
        kill_on_bad_exit=given.get("kill-on-bad-exit", "0") != "0",
        gpus=given.get("gpus-per-node") != "0" and given.get("gres") != "none",
        command=command,
    )


def _split(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Part the options from the command, as getopt does with a leading `+`."""
    given: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
        else:
            name, value = _SHORT.get(word[1], ""), word[2:]
            equals = value
        if name not in _HONOURED | _WITHOUT_EFFECT:
            raise OptionError(
                f"{word}: slurmkit simulate does not know this option of srun; "
                "leave it out for the simulation, or try the job on a cluster"
            )
        if name in _FLAGS and equals:
            raise OptionError(f"{word}: --{name} takes no value")
        if name in _MAY_HAVE_VALUE and not equals:
            value = "1"
        elif name not in _FLAGS and not equals:
            if not rest:
                raise OptionError(f"--{name} needs a value")
            value = rest.pop(0)
        given[name] = value
    return given, rest


def _number(given: dict[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"--{name}={text}: a simulation takes a number of 1 or more here")
    return int(text)


def _nodes(given: dict[str, str], job: Job) -> list[int]:
    """Return the nodes of the step: those named, and the first others up to their number."""
    everyone = {node_name(index): index for index in range(job.nodes)}
    named: list[int] = []
    if "nodelist" in given:
        try:
            names = expand_nodelist(given["nodelist"])
            named = sorted({everyone[name] for name in names})
        except GrammarError as error:
            raise OptionError(f"--nodelist: {error}") from None
        except KeyError as error:
            raise OptionError(
                f"--nodelist: {error.args[0]} is none of this job's nodes ({', '.join(everyone)})"
            ) from None
    asked = _number(given, "nodes")
    count = asked or len(named) or min(job.nodes, _number(given, "ntasks") or job.nodes)
    if count > job.nodes:
        raise OptionError(f"Only allocated {job.nodes} nodes asked for {count}")
    if count < len(named):
        raise OptionError(f"--nodes={count} is less than the {len(named)} nodes of --nodelist")
    others = [index for index in everyone.values() if index not in named]
    return sorted(named + others[: count - len(named)])
