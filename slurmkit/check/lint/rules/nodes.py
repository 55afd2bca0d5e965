"""The number of nodes, told twice or not at all; nodes that stay idle (SK204 to SK206)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.edits import said
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.shape import (
    asks_which_task,
    elastic,
    has_variable,
    is_open,
    launcher_nodes,
    node_option,
    said_nodes,
    step_nodes,
)
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.source import Span, holds
from slurmkit.check.script.variables import expand
from slurmkit.check.script.words import Word

_HOSTS = ("hostfile", "include", "num-nodes", "launcher", "deepspeed-hostfile", "config-file")
_OTHER_WAYS = re.compile(
    rb"\bray (?:start|job)|\bdask\b|ray symmetric-run|srun .*\$\{?(?:0|BASH_SOURCE)|"
    rb"submitit|spark-submit|\bhorovodrun\b|torchx|\bjsrun\b"
)
_TRAINS = re.compile(r"train|pretrain|finetun|fine_tun|main|run|ddp|fsdp|dist|sft|dpo|grpo", re.I)


@rule("SK204")
def node_count_differs(job: Job) -> Iterator[Found]:
    """`--nodes=4` and `srun torchrun --nproc_per_node=4`."""
    if job.is_het:
        return
    for launch in job.launches:
        if not launch.is_launcher or is_open(launch) or has_variable(job, launch, "PET_NNODES"):
            continue
        option = node_option(launch)
        if option is None or launch.option("standalone") is not None:
            yield from _not_told(job, launch)
        else:
            yield from _told_wrong(job, launch)


def _not_told(job: Job, launch: Launch) -> Iterator[Found]:
    nodes = step_nodes(job, launch)
    if nodes is None or nodes < 2 or launch.through != "srun" or asks_which_task(launch):
        return
    if any(launch.option(name) for name in _HOSTS):
        return
    if launch.kind == "deepspeed" and launch.option("no-ssh", "node-rank"):
        return
    names = {"accelerate": "--num_machines", "deepspeed": "--hostfile"}
    missing = names.get(launch.kind, "--nnodes")
    given = "--standalone" if launch.option("standalone") else f"no {missing}"
    what = f"{nodes} nodes and {given}: {nodes} separate trainings of one node each"
    yield job.found("SK204", launch.span, what)


def _told_wrong(job: Job, launch: Launch) -> Iterator[Found]:
    option = node_option(launch)
    assert option is not None
    asked, nodes = said_nodes(job), step_nodes(job, launch)
    limits, count = elastic(job, launch), launcher_nodes(job, launch)
    if asked is None or (limits is None and count is None):
        return
    if launch.command.context.loops or nodes is None or (launch.srun and nodes != asked):
        expected = {asked, nodes, None}
    else:
        expected = {asked}
    if limits is not None:
        if any(n is None or limits[0] <= n <= limits[1] for n in expected):
            return
        told = f"{limits[0]}:{limits[1]}"
    elif count in expected or (count == 1 and None in expected):
        return
    elif count == asked * (job.step_tasks_per_node(launch) or 1):
        return  # an agent a task
    else:
        told = str(count)
    if None in expected and nodes is None:
        return
    if not launch.through and asked > 1:
        return  # SK206
    rank = launch.option("node-rank", "machine-rank")
    if not launch.through and rank is not None and launch.text(rank.name) != "0":
        return  # one of several jobs, each of which is a node
    many = f"{asked} node{'s' if asked > 1 else ''}"
    yield job.found("SK204", option.span, f"{option.written} says {told}, the job has {many}")


@rule("SK205")
def node_count_repeated(job: Job) -> Iterator[Found]:
    """`--nodes=2` and `--nnodes=2`."""
    asked = said_nodes(job)
    for launch in job.launches:
        option = node_option(launch)
        if option is None or option.value is None or asked is None or launch.kind == "deepspeed":
            continue
        if launch.number(option.name) != asked or not _is_written(option.value, launch):
            continue
        span = option.value.span
        is_plain = said(job, span) == str(asked).encode()
        quote = job.script.source.data[span.start - 1 : span.start]
        edits = (Edit(Span(*span), "$SLURM_JOB_NUM_NODES"),) if is_plain and quote != b"'" else ()
        what = f"{option.written} repeats the {asked} of #SBATCH --nodes"
        yield job.found("SK205", option.span, what, edits=edits)


def _is_for_one(job: Job, launch: Launch) -> bool:
    """Tell whether a launch is for one node, such as that of a preparation or an evaluation."""
    is_said = node_option(launch) is not None and launch.option("standalone") is None
    return not is_said or launcher_nodes(job, launch) == 1


def _is_written(value: Word, launch: Launch) -> bool:
    """Tell whether a number stands in the script itself; in `${SLURM_NNODES:-2}` it does not."""
    words = expand(value, launch.command.order, launch.command.context)
    return all(piece.kind == "text" for word in words for piece in word.pieces)


@rule("SK206")
def only_the_first_node(job: Job) -> Iterator[Found]:
    """A job of several nodes, and `torchrun` without srun."""
    nodes = said_nodes(job) or 0
    if job.is_het or nodes < 2 or holds(job.script.source.data, _OTHER_WAYS):
        return
    direct: list[Launch] = []
    is_started = any(layers.through for layers in job.script.layers.values())
    is_beside = any(launch.through and launch.is_launcher for launch in job.launches)
    for launch in job.launches:
        if launch.through or launch.command.context.in_substitution:
            continue
        if launch.command.shell.where != "batch" or asks_which_task(launch):
            continue
        if launch.kind == "direct":
            direct.append(launch)
            continue
        if any(launch.option(name) for name in (*_HOSTS[:2], "launcher", "deepspeed-hostfile")):
            continue
        if launch.command.context.blocks and is_started:
            continue
        if launch.kind == "accelerate" and launch.option("config-file") and is_started:
            continue
        if is_beside and _is_for_one(job, launch):
            continue
        what = f"{nodes} nodes, but {launch.kind} starts on the first one only"
        yield job.found("SK206", launch.span, what)
    if is_started or any(launch.is_launcher for launch in job.launches):
        return
    for launch in direct:
        name = launch.program.shown.rpartition("/")[2] if launch.program is not None else ""
        if _TRAINS.search(name) and job.asks_for_gpus and not launch.command.context.blocks:
            what = f"{nodes} nodes, but {name} starts on the first one only"
            yield job.found("SK206", launch.span, what, severity="warning")
