"""Which rank is this process? Read from the environment that its launcher left, without torch.

Four launchers are understood, in this order; the first whose variables are there decides:

1. torchrun (``TORCHELASTIC_RUN_ID``): its own variables.
2. submitit on one machine (``SUBMITIT_EXECUTOR=local``): its own variables.
3. ``RANK`` and ``WORLD_SIZE`` set for each process by anything else.
4. srun, one task a rank: ``SLURM_PROCID`` and its kin, inside a step. On Slurm this is
   submitit's way too; it needs no ``MASTER_ADDR``, for submitit knows the nodes.

With none of them the process is alone. Variables that contradict each other are an error:
eight tasks that each believe to be the whole world look alive and train eight models.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from slurmkit.train.variables import START_FIX, Variables

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = range(15000, 32000)  # below 32768, where Linux begins to hand out ports to clients
_LOOPBACK = re.compile(r"localhost(\..*)?|127\..*|::1")
_TASKS_ON_NODES = re.compile(r"(\d{1,7})(?:\(x(\d{1,7})\))?")


@dataclass(frozen=True)
class Ranks:
    """The place of one process among all processes of a job."""

    source: str
    """Who said so: torchrun, variables, submitit, slurm or single."""
    rank: int = 0
    """Number of this process among all, from 0."""
    world_size: int = 1
    """Number of processes in the job."""
    local_rank: int = 0
    """Number of this process among those of its node, from 0."""
    local_world_size: int = 1
    """Number of processes on this node."""
    node_rank: int = 0
    """Number of this node among the job's nodes, from 0."""
    master_addr: str | None = None
    """Where rank 0 listens; None for a world of one, or where submitit knows it."""
    master_port: int | None = None
    """The port it listens on."""


def read_environment(environment: Mapping[str, str]) -> Ranks:
    """Return the ranks that an environment describes.

    Args:
        environment: ``os.environ``, or any mapping like it.

    Returns:
        The ranks; those of a process that is alone if the environment names no launcher.

    Raises:
        DistributedError: a variable is missing, is no number, or contradicts another.
    """
    variables = Variables(environment)
    if variables.has("TORCHELASTIC_RUN_ID"):
        ranks = _from_torchrun(variables)
    elif variables.get("SUBMITIT_EXECUTOR") in {"local", "debug"}:
        ranks = _from_submitit_local(variables)
    elif variables.has("RANK"):
        ranks = _from_variables(variables)
    elif variables.has("SLURM_PROCID"):
        ranks = _from_slurm(variables)
    else:
        ranks = _alone(variables)
    _check_order(variables, ranks)
    return ranks


def _from_torchrun(variables: Variables) -> Ranks:
    agents = variables.number("GROUP_WORLD_SIZE")
    if agents == 1 and variables.in_step() and variables.tasks() > 1:
        variables.refuse(
            f"{variables.tasks()} torchrun agents in this step, each with a world of its own "
            "(GROUP_WORLD_SIZE=1)",
            "one agent a node: `srun --ntasks-per-node=1 torchrun --nnodes=NODES …`, without "
            "--standalone; or, if torchrun started this job from within another one, unset "
            "TORCHELASTIC_RUN_ID, RANK and WORLD_SIZE first",
        )
    address, port = variables.master()
    return Ranks(
        source="torchrun",
        rank=variables.number("RANK"),
        world_size=variables.number("WORLD_SIZE"),
        local_rank=variables.number("LOCAL_RANK"),
        local_world_size=variables.number("LOCAL_WORLD_SIZE"),
        node_rank=variables.number("GROUP_RANK"),
        master_addr=address,
        master_port=port,
    )


def _from_variables(variables: Variables) -> Ranks:
    if variables.in_step():
        _check_against_step(variables)
    rank, world_size = variables.number("RANK"), variables.number("WORLD_SIZE")
    if world_size <= 1:
        return Ranks("variables", rank, world_size)
    if variables.in_step() and variables.tasks() == world_size:
        local_rank = variables.number("LOCAL_RANK", "SLURM_LOCALID")
        node_rank = variables.number("SLURM_NODEID")
        local_world_size = _tasks_on_node(variables, node_rank)
    else:
        local_rank = variables.number("LOCAL_RANK")
        local_world_size = variables.number("LOCAL_WORLD_SIZE")
        node_rank = rank // max(local_world_size, 1)
    address, port = variables.master()
    ranks = Ranks(
        "variables", rank, world_size, local_rank, local_world_size, node_rank, address, port
    )
    _check_master(variables, ranks)
    return ranks


def _check_against_step(variables: Variables) -> None:
    """Compare RANK and WORLD_SIZE, which somebody exported, with the step that srun started."""
    rank, task, tasks = (
        variables.number("RANK"),
        variables.number("SLURM_PROCID"),
        variables.tasks(),
    )
    world_size = variables.number("WORLD_SIZE") if variables.has("WORLD_SIZE") else tasks
    if tasks == 1:
        return
    if world_size == 1:
        _refuse_worlds_of_one(variables, "each with WORLD_SIZE=1")
    if world_size == tasks:
        node = variables.number("SLURM_NODEID")
        by_node = node * _tasks_on_node(variables, node) + variables.number("SLURM_LOCALID")
        if rank not in {task, by_node}:
            variables.refuse(
                f"RANK={rank} in task SLURM_PROCID={task}: RANK was exported once, for all tasks",
                "do not export RANK in the batch script; srun gives each task its SLURM_PROCID",
            )
    elif world_size % tasks:
        variables.refuse(
            f"WORLD_SIZE={world_size}, but srun started {tasks} tasks", "unset WORLD_SIZE"
        )


def _from_submitit_local(variables: Variables) -> Ranks:
    """Read submitit's local and debug executors, which know one node only."""
    if not variables.has("SUBMITIT_LOCAL_GLOBALID"):
        return Ranks("submitit")
    tasks = variables.number("SUBMITIT_LOCAL_NTASKS")
    return Ranks(
        source="submitit",
        rank=variables.number("SUBMITIT_LOCAL_GLOBALID"),
        world_size=tasks,
        local_rank=variables.number("SUBMITIT_LOCAL_LOCALID"),
        local_world_size=tasks,
        master_addr="127.0.0.1",
        master_port=_submitit_port(variables, variables.get("SUBMITIT_LOCAL_JOB_ID")),
    )


def _submitit_port(variables: Variables, job_id: str) -> int:
    if variables.has("MASTER_PORT"):
        return variables.port()
    job = f"{job_id}-{variables.get('SLURM_RESTART_COUNT')}"
    return _PORTS[zlib.crc32(job.encode()) % len(_PORTS)]


def _from_slurm(variables: Variables) -> Ranks:
    submitit = variables.get("SUBMITIT_EXECUTOR") == "slurm"
    if not variables.in_step():
        return _alone(variables)
    tasks = variables.tasks()
    world_size = variables.number("WORLD_SIZE") if variables.has("WORLD_SIZE") else tasks
    if world_size == 1 < tasks:
        _refuse_worlds_of_one(variables, "each with WORLD_SIZE=1")
    if world_size != tasks:
        variables.refuse(f"WORLD_SIZE={world_size}, but srun started {tasks} tasks", START_FIX)
    node_rank = variables.number("SLURM_NODEID")
    address: str | None
    port: int | None
    if tasks == 1:
        address, port = None, None
    elif submitit and not variables.has("MASTER_ADDR"):
        address, port = None, _submitit_port(variables, variables.get("SLURM_JOB_ID"))
    elif not variables.has("MASTER_ADDR"):
        _refuse_worlds_of_one(variables, "and MASTER_ADDR is not set")
    else:
        address, port = variables.master()
    ranks = Ranks(
        source="submitit" if submitit else "slurm",
        rank=variables.number("SLURM_PROCID"),
        world_size=tasks,
        local_rank=variables.number("SLURM_LOCALID"),
        local_world_size=_tasks_on_node(variables, node_rank),
        node_rank=node_rank,
        master_addr=address,
        master_port=port,
    )
    _check_master(variables, ranks)
    return ranks


def _tasks_on_node(variables: Variables, node: int) -> int:
    """Read this node's entry of Slurm's list of tasks on nodes, such as ``4(x2),3``."""
    name = next(filter(variables.has, ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")), "")
    if not name:
        return -(-variables.tasks() // max(variables.nodes(), 1))
    passed = 0
    for entry in variables.get(name).split(","):
        match = _TASKS_ON_NODES.fullmatch(entry)
        if not match:
            break
        passed += int(match[2] or 1)
        if node < passed:
            return int(match[1])
    return variables.refuse(
        f"{name}={variables.get(name)!r} says nothing about node number {node}", f"unset {name}"
    )


def _alone(variables: Variables) -> Ranks:
    if variables.has("WORLD_SIZE") and variables.number("WORLD_SIZE") > 1:
        variables.refuse(f"WORLD_SIZE={variables.number('WORLD_SIZE')}, but no RANK", START_FIX)
    if variables.has("SLURM_PROCID", "SLURM_NTASKS") and variables.number("SLURM_NTASKS") > 1:
        variables.refuse(
            f"the job has {variables.number('SLURM_NTASKS')} tasks (SLURM_NTASKS), but this "
            "process was started without srun and would be alone",
            "put srun in front of it, or start it with torchrun; for one process on purpose: "
            "`env -u SLURM_PROCID python …`",
        )
    return Ranks("single")


def _refuse_worlds_of_one(variables: Variables, why: str) -> NoReturn:
    tasks = variables.tasks()
    variables.refuse(f"srun started {tasks} tasks, {why}: {tasks} worlds of one", START_FIX)


def _check_master(variables: Variables, ranks: Ranks) -> None:
    """Refuse a master that every node would look for on itself."""
    if not (ranks.master_addr and _LOOPBACK.fullmatch(ranks.master_addr)):
        return
    # Nodes pretended on one machine do meet over loopback; then the interface says so too.
    if "lo" in {variables.get("GLOO_SOCKET_IFNAME"), variables.get("NCCL_SOCKET_IFNAME")}:
        return
    if ranks.world_size > ranks.local_world_size and variables.nodes() > 1:
        variables.refuse(
            f"MASTER_ADDR={ranks.master_addr} on a job of {variables.nodes()} nodes: each node "
            "would look for rank 0 on itself",
            'export MASTER_ADDR="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)" '
            "in the batch script",
        )


def _check_order(variables: Variables, ranks: Ranks) -> None:
    fix = "let the launcher set both, and unset what a script or an outer job exported"
    if ranks.rank >= ranks.world_size:
        variables.refuse(f"rank {ranks.rank} in a world of {ranks.world_size}", fix)
    if ranks.local_rank >= ranks.local_world_size:
        variables.refuse(
            f"local rank {ranks.local_rank} on a node of {ranks.local_world_size} processes", fix
        )
    if ranks.local_world_size > ranks.world_size:
        variables.refuse(
            f"{ranks.local_world_size} processes on this node in a world of {ranks.world_size}", fix
        )
