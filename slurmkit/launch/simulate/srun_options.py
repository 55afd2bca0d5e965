"""The options of srun that the stand-in knows; any other is an error, never a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.nodes import node_address, node_name
from slurmkit.slurm.hostlist import expand_nodelist
from slurmkit.slurm.scalars import GrammarError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slurmkit.launch.simulate.cluster import Job

_SHORT = {
    **{"N": "nodes", "n": "ntasks", "c": "cpus-per-task", "w": "nodelist", "D": "chdir"},
    **{"K": "kill-on-bad-exit", "W": "wait", "l": "label", "u": "unbuffered", "J": "job-name"},
    **{"m": "distribution", "v": "verbose"},
}
_FLAGS = {"overlap", "exact", "exclusive", "label", "unbuffered", "verbose"}
_MAY_HAVE_VALUE = {"kill-on-bad-exit"}
_HONOURED = {
    *("nodes", "ntasks", "ntasks-per-node", "cpus-per-task", "nodelist", "chdir"),
    *("kill-on-bad-exit", "wait", "export", "gpus-per-node", "gres"),
    *("overlap", "exact", "exclusive", "distribution", "mpi"),
}
_WITHOUT_EFFECT = {  # they share out a node's memory, cores and devices, or name the step
    *("label", "unbuffered", "verbose", "job-name", "comment", "mem", "mem-per-cpu"),
    *("cpu-bind", "mem-bind", "gpu-bind", "hint", "threads-per-core", "cpu-freq"),
    *("acctg-freq", "network", "propagate"),
}
_ONLY = {"wait": "0", "export": "ALL", "mpi": "none"}
_FROM_VARIABLES = {  # man srun, "INPUT ENVIRONMENT VARIABLES"; the first that is set counts
    "nodes": ("SLURM_NNODES", "SLURM_JOB_NUM_NODES"),
    "ntasks": ("SLURM_NTASKS", "SLURM_NPROCS"),
    "ntasks-per-node": ("SLURM_NTASKS_PER_NODE",),
    "cpus-per-task": ("SRUN_CPUS_PER_TASK",),
    "kill-on-bad-exit": ("SLURM_KILL_BAD_EXIT",),
}


class OptionError(ValueError):
    """An option that the stand-in does not know, or that cannot be met."""


@dataclass(frozen=True)
class Options:
    """What one srun was asked for, by its options and by variables."""

    nodes: int
    """On how many nodes the step runs."""
    named: list[int]
    """Those of them that --nodelist names."""
    tasks: int
    tasks_per_node: int | None
    """What --ntasks-per-node says, where it agrees with the other two."""
    cpus_per_task: int | None
    exact: bool
    """Whether the step takes the CPUs of its tasks, and not all of its nodes'."""
    overlap: bool
    """Whether it shares CPUs with other steps."""
    directory: str | None
    kill_on_bad_exit: bool
    gpus: bool
    """Whether the step sees the job's GPUs."""
    command: list[str]


def read_options(words: list[str], job: Job, environment: Mapping[str, str]) -> Options:
    """Read srun's command line, and the variables that stand in for options.

    Raises:
        OptionError: with what is wrong, naming the option.
    """
    given, command = _split(words)
    for name, only in _ONLY.items():
        if given.get(name, only) != only:
            raise OptionError(f"--{name}={given[name]}: a simulation knows --{name}={only} only")
    if re.split("[:,]", given.get("distribution", "*"))[0] not in ("block", "*"):
        raise OptionError(
            f"--distribution={given['distribution']}: a simulation places tasks in blocks only"
        )
    if not command:
        raise OptionError("No command given to execute.")
    told = {**_inherited(environment), **given}
    nodes = _most(told) or job.nodes
    per_node = _number(told, "ntasks-per-node")
    tasks = _number(told, "ntasks") or nodes * (per_node or 1)
    nodes = min(nodes, tasks)  # srun warns, and goes on
    if nodes > job.nodes:
        raise OptionError(f"Only allocated {job.nodes} nodes asked for {nodes}")
    return Options(
        nodes=nodes,
        named=_named(given, job, nodes),
        tasks=tasks,
        tasks_per_node=per_node if tasks == nodes * (per_node or 0) else None,
        cpus_per_task=_number(told, "cpus-per-task"),
        exact=bool({"exact", "exclusive", "cpus-per-task"} & given.keys()),
        overlap="overlap" in given,
        directory=given.get("chdir"),
        kill_on_bad_exit=told.get("kill-on-bad-exit", "0") != "0",
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


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the options that variables stand in for, among them what sbatch was asked for."""
    found: dict[str, str] = {}
    for option, names in _FROM_VARIABLES.items():
        if value := next((environment[name] for name in names if environment.get(name)), None):
            found[option] = value
    return found


def _most(told: Mapping[str, str]) -> int | None:
    """Return the greatest number of nodes that -N allows: of 1-2 it is 2."""
    least, dash, most = told.get("nodes", "").partition("-")
    return _number({"nodes": most}, "nodes") if dash and least else _number(told, "nodes")


def _number(told: Mapping[str, str], name: str) -> int | None:
    text = told.get(name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"--{name}={text}: a simulation takes a number of 1 or more here")
    return int(text)


def _named(given: Mapping[str, str], job: Job, count: int) -> list[int]:
    """Return the nodes that --nodelist names."""
    if "nodelist" not in given:
        return []
    everyone = {node_name(index): index for index in range(job.nodes)}
    # As `scontrol show hostnames` gives them here, which scripts go through.
    addresses = {node_address(index): index for index in range(job.nodes)}
    known = {**everyone, **addresses}
    try:
        named = sorted({known[name] for name in expand_nodelist(given["nodelist"])})
    except GrammarError as error:
        raise OptionError(f"--nodelist: {error}") from None
    except KeyError as error:
        raise OptionError(
            f"--nodelist: {error.args[0]} is none of this job's nodes ({', '.join(everyone)})"
        ) from None
    if count < len(named):
        raise OptionError(f"--nodes={count} is less than the {len(named)} nodes of --nodelist")
    return named
