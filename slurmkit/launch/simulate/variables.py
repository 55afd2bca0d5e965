"""The environment that Slurm gives a batch script and the tasks of a step."""

from __future__ import annotations

import os
import pwd
import socket
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.nodes import Task, node_address, node_list, node_name, repeated
from slurmkit.slurm.scalars import parse_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slurmkit.launch.simulate.allocation import Allocation
    from slurmkit.launch.simulate.cluster import Job
    from slurmkit.launch.simulate.srun_options import Options

_PREFIXES = (
    *("SLURM", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SCANCEL_", "SCONTROL_"),  # and SLURMKIT_
    *("TORCHELASTIC_", "PET_", "PMI_", "PMIX_", "OMPI_COMM_WORLD_"),
)
_NAMES = {
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "NODE_RANK"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
    *("MASTER_ADDR", "MASTER_PORT"),
}


def cleared(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what an outer job, or torchrun, has left in it."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _NAMES and not name.startswith(_PREFIXES)
    }


def batch_variables(
    job: Job, allocation: Allocation, submit_directory: str, restarts: int
) -> dict[str, str]:
    """Return what Slurm sets in a batch script, which runs on the job's first node."""
    nodes = node_list(list(range(job.nodes)))
    count, tasks = str(job.nodes), allocation.tasks_of_nodes
    variables = {
        "ENVIRONMENT": "BATCH",
        "SLURM_CLUSTER_NAME": "simulate",
        "SLURM_CPUS_ON_NODE": str(job.cpus[0]),
        "SLURM_GTIDS": "0",
        "SLURM_JOBID": str(job.id),
        "SLURM_JOB_CPUS_PER_NODE": repeated(job.cpus),
        "SLURM_JOB_END_TIME": str(job.end),
        "SLURM_JOB_GID": str(os.getgid()),
        "SLURM_JOB_ID": str(job.id),
        "SLURM_JOB_NAME": job.name,
        "SLURM_JOB_NODELIST": nodes,
        "SLURM_JOB_NUM_NODES": count,
        "SLURM_JOB_PARTITION": allocation.partition,
        "SLURM_JOB_START_TIME": str(job.start),
        "SLURM_JOB_UID": str(os.getuid()),
        "SLURM_JOB_USER": _user(),
        "SLURM_LOCALID": "0",
        "SLURM_NNODES": count,
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": nodes,
        "SLURM_PROCID": "0",
        "SLURM_SUBMIT_DIR": submit_directory,
        "SLURM_SUBMIT_HOST": socket.gethostname(),
        "SLURM_TASKS_PER_NODE": repeated(tasks),
        "SLURM_TOPOLOGY_ADDR": node_name(0),
        "SLURM_TOPOLOGY_ADDR_PATTERN": "node",
        "SLURMD_NODENAME": node_name(0),
    }
    if allocation.tasks_per_node:
        variables["SLURM_NTASKS_PER_NODE"] = str(allocation.tasks_per_node)
    if allocation.tasks_per_node or allocation.tasks:
        variables["SLURM_NTASKS"] = variables["SLURM_NPROCS"] = str(sum(tasks))
    if allocation.cpus_per_task:
        variables["SLURM_CPUS_PER_TASK"] = str(allocation.cpus_per_task)
    if megabytes := parse_memory(allocation.memory or "0"):
        variables["SLURM_MEM_PER_NODE"] = str(megabytes)
    if job.gpus[0]:
        variables["SLURM_GPUS_PER_NODE"] = str(len(job.gpus[0]))
    if allocation.account:
        variables["SLURM_JOB_ACCOUNT"] = allocation.account
    if allocation.qos:
        variables["SLURM_JOB_QOS"] = allocation.qos
    if job.task is not None and (tasks_of_array := allocation.tasks_of_array):
        variables |= {
            "SLURM_ARRAY_JOB_ID": str(job.array),
            "SLURM_ARRAY_TASK_COUNT": str(len(tasks_of_array)),
            "SLURM_ARRAY_TASK_ID": str(job.task),
            "SLURM_ARRAY_TASK_MAX": str(tasks_of_array[-1]),
            "SLURM_ARRAY_TASK_MIN": str(tasks_of_array[0]),
            "SLURM_ARRAY_TASK_STEP": "1",
        }
    if restarts:
        variables["SLURM_RESTART_COUNT"] = str(restarts)
    return variables | gpu_variables(job.gpus[0])


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number that has no name
        return str(os.getuid())


def gpu_variables(gpus: list[str]) -> dict[str, str]:
    """Return what Slurm sets where a job has GPUs; without any, the machine's are hidden."""
    variables = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}
    if gpus:
        variables["SLURM_GPUS_ON_NODE"] = str(len(gpus))
        variables["SLURM_JOB_GPUS"] = ",".join(gpus)
    return variables


def step_gpus(gpus: list[str]) -> dict[str, str]:
    """Return what Slurm sets in a step where the job has GPUs on that node."""
    return gpu_variables(gpus) | ({"SLURM_STEP_GPUS": ",".join(gpus)} if gpus else {})


def step_variables(step: int, tasks: list[Task], options: Options) -> dict[str, str]:
    """Return what is the same in all tasks of a step."""
    nodes = sorted({task.node for task in tasks})
    per_node = repeated([sum(task.node == node for task in tasks) for node in nodes])
    count, listed = str(len(tasks)), node_list(nodes)
    variables = {
        "SLURM_DISTRIBUTION": "cyclic" if len(nodes) == len(tasks) else "block",
        "SLURM_LAUNCH_NODE_IPADDR": node_address(0),
        "SLURM_NNODES": str(len(nodes)),
        "SLURM_NPROCS": count,
        "SLURM_NTASKS": count,
        "SLURM_SRUN_COMM_HOST": node_address(0),
        "SLURM_STEPID": str(step),
        "SLURM_STEP_ID": str(step),
        "SLURM_STEP_NODELIST": listed,
        "SLURM_STEP_NUM_NODES": str(len(nodes)),
        "SLURM_STEP_NUM_TASKS": count,
        "SLURM_STEP_TASKS_PER_NODE": per_node,
        "SLURM_TASKS_PER_NODE": per_node,
    }
    if options.cpus_per_task:
        variables["SLURM_CPUS_PER_TASK"] = str(options.cpus_per_task)
    if options.tasks_per_node:
        variables["SLURM_NTASKS_PER_NODE"] = str(options.tasks_per_node)
    return variables


def task_variables(task: Task, tasks: list[Task], cpus: int) -> dict[str, str]:
    """Return what differs between the tasks of a step, of which this one's node has `cpus`."""
    there = [other.rank for other in tasks if other.node == task.node]
    return {
        "SLURM_CPUS_ON_NODE": str(cpus),
        "SLURM_GTIDS": ",".join(map(str, there)),
        "SLURM_LOCALID": str(task.local_rank),
        "SLURM_NODEID": str(task.node_rank),
        "SLURM_PROCID": str(task.rank),
        "SLURM_TOPOLOGY_ADDR": node_name(task.node),
        "SLURMD_NODENAME": node_name(task.node),
    }
