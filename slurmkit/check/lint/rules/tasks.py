"""Agents and processes on a node, against the node's tasks and GPUs (SK201 to SK203, SK207)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.edits import line_of
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.shape import (
    asks_which_task,
    launcher_nodes,
    may_hold_more,
    node_option,
    processes_per_node,
    said_nodes,
    step_gpus,
    step_nodes,
)
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.source import Span, holds
from slurmkit.check.script.variables import assigned, reads
from slurmkit.slurm.scalars import whole

_SERVERS = re.compile(rb"vllm|sglang|tgi|text-generation|triton|ray |CUDA_VISIBLE_DEVICES")
_LIGHTNING = re.compile(
    r"lightning|trainer\.(?:devices|num_nodes|gpus|strategy)|--devices|--num[-_]nodes", re.I
)
_SPAWNS = re.compile(
    r"spawn|multi[-_]?process|dist[-_]url|init[-_]method|world[-_]size|n?gpus?\b|nproc|launch|ray\b"
    r"|tensor[-_]parallel|tp[-_]size|rank|run[-_]?(?:multi|dist)",
    re.IGNORECASE,
)
"""What programs are told that start their processes themselves."""
_LOCAL = re.compile(
    rb"\bjax|tensorflow|keras|vllm|sglang|\bray\b|dask|horovod|submitit|rapids|WORLD_SIZE|MASTER_ADDR"
    rb"|CUDA_VISIBLE_DEVICES|wandb agent",
    re.IGNORECASE,
)
"""What has one process a node, with all its GPUs."""
_FIX_BESIDE_NTASKS = (
    "Make `--ntasks-per-node` the number of GPUs a node, and take --ntasks out: beside it "
    "--ntasks-per-node is no more than a limit."
)


@rule("SK201")
def more_than_one_agent(job: Job) -> Iterator[Found]:
    """`--ntasks-per-node=4` with `srun torchrun --nproc_per_node=4`."""
    if job.is_het:
        return
    for launch in job.launches:
        if not launch.is_launcher or launch.srun is None or launch.through == "ssh":
            continue
        tasks, unit = _agents(job, launch)
        if tasks is None or tasks < 2 or _is_agent_a_task(job, launch, tasks, unit):
            continue
        if asks_which_task(launch) or may_hold_more(job, launch):
            continue
        yield job.found("SK201", launch.span, _agents_told(job, launch, tasks, unit))


def _agents(job: Job, launch: Launch) -> tuple[int | None, str]:
    """Return the agents of a node; or of the job, where its nodes are not asked for."""
    tasks = job.step_tasks_per_node(launch)
    if tasks is not None:
        return tasks, "a node"
    tasks = whole(job.value("ntasks"))
    if said_nodes(job) is not None or tasks is None or launch.srun_option("nodes"):
        return None, ""
    if launch.srun_option("ntasks") or launch.srun_option("ntasks-per-node"):
        return None, ""
    return tasks, "in all"


def _is_agent_a_task(job: Job, launch: Launch, tasks: int, unit: str) -> bool:
    """Tell whether the launcher is told of an agent a task: `--nnodes=$SLURM_NTASKS`."""
    option = node_option(launch)
    if option is None:
        return False
    given = (
        reads(option.value, launch.command.order, launch.command.context) if option.value else ()
    )
    if any(piece.text in ("SLURM_NTASKS", "SLURM_NPROCS") for piece in given):
        return True
    count = launcher_nodes(job, launch)
    if unit == "in all":
        return count is None or count == tasks
    if count is None:
        return processes_per_node(job, launch) == 1
    return count == tasks * (step_nodes(job, launch) or 1)


def _agents_told(job: Job, launch: Launch, tasks: int, unit: str) -> str:
    name = launch.kind
    processes, gpus = processes_per_node(job, launch), step_gpus(job, launch)
    what = f"{tasks} tasks {unit}, so {tasks} times {name}, which is to run once a node"
    if processes is not None and processes > 1:
        what += f": {tasks} x {processes} = {tasks * processes} processes {unit}"
        what += f" on {gpus} GPUs" if gpus and unit == "a node" else ""
    return what


@rule("SK202")
def tasks_not_pinned(job: Job) -> Iterator[Found]:
    """`--nodes=2` alone, and `srun torchrun`."""
    if job.is_het or not job.script.directives.options:
        return
    for name in ("ntasks-per-node", "ntasks-per-gpu", "ntasks-per-socket", "ntasks-per-core"):
        if job.given(name) is not None:
            return
    tasks = job.value("ntasks")
    if tasks is not None and tasks == str(said_nodes(job) or 1):
        return
    if job.given("gpus-per-task") is not None and job.given("gpus") is not None:
        return
    for launch in job.launches:
        if not launch.is_launcher or launch.srun is None or launch.through == "ssh":
            continue
        names = ("ntasks", "ntasks-per-node", "ntasks-per-gpu")
        if any(launch.srun_option(name) for name in names) or may_hold_more(job, launch):
            continue
        count, unit = _agents(job, launch)
        if count is not None and not (
            unit == "in all" and _is_agent_a_task(job, launch, count, unit)
        ):
            continue  # SK201
        what = f"nothing says that srun starts {launch.kind} once a node"
        what += f" (--ntasks={tasks} may put several tasks on one)" if tasks else ""
        yield job.found("SK202", launch.span, what, edits=() if tasks else _pin(job))
        return


def _pin(job: Job) -> tuple[Edit, ...]:
    options = job.script.directives.options
    if any(option.problem for option in options):
        return ()
    line = line_of(job, options[0])
    if line is None:
        return ()
    return (Edit(Span(line.span.end, line.span.end), "\n#SBATCH --ntasks-per-node=1"),)


@rule("SK203")
def processes_are_not_gpus(job: Job) -> Iterator[Found]:
    """`--gres=gpu:2` with `--nproc_per_node=4`."""
    if job.is_het:
        return
    for launch in job.launches:
        if not launch.is_launcher or asks_which_task(launch):
            continue
        processes, gpus = processes_per_node(job, launch), step_gpus(job, launch)
        if not processes or not gpus or processes == gpus or _is_on_cpu(launch):
            continue
        tasks = job.step_tasks_per_node(launch)
        if tasks is not None and tasks > 1:
            continue  # SK201, or an agent a task
        option = launch.option("nproc-per-node", "num-processes", "num-gpus")
        assert option is not None
        what = f"{processes} processes on a node that has {gpus} GPUs of the job"
        if processes > gpus:
            yield job.found("SK203", option.span, what)
        elif not _shares_gpus(job, launch):
            what += f": {gpus - processes} stay idle"
            yield job.found("SK203", option.span, what, severity="warning")


def _is_on_cpu(launch: Launch) -> bool:
    words = " ".join(word.shown for word in launch.layers.words)
    return re.search(r"--(?:use[_-])?cpu\b|\bgloo\b|device[= ]cpu", words) is not None


def _shares_gpus(job: Job, launch: Launch) -> bool:
    """Tell whether something else may use the other GPUs: a server, a second launch."""
    if launch.command.context.in_background or len(job.launches) > 1:
        return True
    return holds(job.script.source.data, _SERVERS)


@rule("SK207")
def tasks_are_not_gpus(job: Job) -> Iterator[Found]:
    """`srun python train.py`, which has a task a GPU."""
    if job.is_het:
        return
    for launch in job.launches:
        if launch.kind != "direct" or launch.srun is None or launch.through != "srun":
            continue
        gpus, tasks = step_gpus(job, launch), job.step_tasks_per_node(launch)
        is_lightning = _is_lightning(launch)
        if tasks is None and said_nodes(job) is not None and not job.value("ntasks"):
            pinned = launch.srun_option("ntasks") or launch.srun_option("ntasks-per-node")
            tasks = 1 if not pinned else None
        if not tasks or not gpus or tasks == gpus or (gpus % tasks and tasks < gpus):
            continue
        own = launch.srun_option("ntasks") or launch.srun_option("ntasks-per-node")
        one_a_task = is_lightning or tasks > 1 or (not own and _has_rank_a_task(job, launch))
        one_a_task = one_a_task or (not own and _is_likely_one_a_task(job, launch))
        if not one_a_task or (tasks == 1 and gpus == 1):
            continue
        if tasks == 1 and (step_nodes(job, launch) == 1 and not is_lightning):
            continue
        what = f"{tasks} task{'s' if tasks > 1 else ''} a node, but {gpus} GPUs: "
        what += "a program that srun starts itself has one task a GPU"
        fix = _FIX_BESIDE_NTASKS if job.given("ntasks") is not None else ""
        yield job.found("SK207", launch.span, what, fix)


def _is_lightning(launch: Launch) -> bool:
    return any(_LIGHTNING.search(w.shown) for w in (launch.program, *launch.arguments) if w)


def _is_likely_one_a_task(job: Job, launch: Launch) -> bool:
    """Tell whether nothing speaks for a program that starts the processes of its node itself."""
    is_pinned = job.value("ntasks-per-node") is not None and (step_nodes(job, launch) or 1) > 1
    words = " ".join(word.shown for word in (launch.program, *launch.arguments) if word)
    return is_pinned and not _SPAWNS.search(words) and not holds(job.script.source.data, _LOCAL)


def _has_rank_a_task(job: Job, launch: Launch) -> bool:
    """Tell whether the script gives each task a rank of its own."""
    command = launch.command
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        found = assigned(name, command.shell, command.order, command.context)
        if found is None or found.value is None:
            continue
        if re.search(r"SLURM_(?:PROCID|NTASKS|LOCALID|NPROCS)\b", found.value.shown):
            return found.is_exported or name in job.script.exports
    return False
