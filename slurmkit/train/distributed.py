"""Join the job's other processes, and leave them again without hanging or aborting.

Example::

    with distributed() as world:
        tensor = torch.ones(1, device=world.device)
        torch.distributed.all_reduce(tensor)

Delete models and optimizers before the block ends: with gloo, what still holds the process
group when it is destroyed can abort the interpreter, and a finished job then counts as failed.
"""

from __future__ import annotations

import gc
import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch.distributed import HashStore  # type: ignore[attr-defined]
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from slurmkit.train.ranks import Ranks, read_environment
from slurmkit.train.variables import DistributedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["DistributedError", "Ranks", "World", "choose_gpu", "distributed", "read_environment"]


@dataclass(frozen=True)
class World:
    """One process's view of all processes of the job."""

    rank: int
    """Number of this process among all, from 0."""
    world_size: int
    """Number of processes in the job."""
    local_rank: int
    """Number of this process among those of its node, from 0."""
    local_world_size: int
    """Number of processes on this node."""
    node_rank: int
    """Number of this node among the job's nodes, from 0."""
    node: str
    """Name of this node."""
    backend: str
    """What carries the collectives: nccl or gloo."""
    device: torch.device
    """Where this process computes."""


@contextmanager
def distributed(timeout: timedelta = timedelta(minutes=10)) -> Iterator[World]:
    """Join the world that the environment describes, and leave it at the end of the block.

    While the block runs, RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and
    MASTER_PORT are set as torchrun would set them, whoever started the process.

    Args:
        timeout: how long to wait for the other ranks, at the start and in every collective.
            It goes to ``init_process_group``, where torch takes it from; NCCL_TIMEOUT, seen in
            many guides, is read by neither torch nor NCCL.

    Yields:
        This process's view of the world.

    Raises:
        DistributedError: the environment contradicts itself, or the ranks cannot meet.
    """
    ranks = read_environment(os.environ)
    world = _world(ranks)
    if dist.is_initialized():
        raise DistributedError(
            "the process group is already there",
            _place(world),
            "leave the first `with distributed()` block before the next, or call "
            "torch.distributed.destroy_process_group()",
        )
    with _exported(_torch_variables(ranks)):
        _join(world, timeout)
        try:
            yield world
        except BaseException:
            # No barrier: the others may never come, and the traceback would wait for them. Nor
            # is an nccl group destroyed: all ranks must do so together, or it hangs (torch's
            # documentation of torch.distributed, "Shutdown").
            if world.backend == "gloo":
                dist.destroy_process_group()
            raise
        _leave(world)


def choose_gpu(ranks: Ranks, gpus: int, environment: Mapping[str, str]) -> int | None:
    """Return the number of this rank's GPU, or None for the CPU.

    Args:
        ranks: this process's place.
        gpus: how many GPUs torch sees.
        environment: says whether Slurm has given each task GPUs of its own.

    Raises:
        DistributedError: there are GPUs, but not one for each process of the node.
    """
    if gpus == 0:
        return None
    if gpus >= ranks.local_world_size:
        return ranks.local_rank
    bound = ("SLURM_GPUS_PER_TASK", "SLURM_NTASKS_PER_GPU", "SLURM_GPU_BIND")
    if any(map(environment.get, bound)) or "gpu" in environment.get("SLURM_TRES_PER_TASK", ""):
        return 0
    raise DistributedError(
        f"{ranks.local_world_size} processes on this node, but torch sees {gpus} GPU(s)",
        f"local rank {ranks.local_rank} on {_node_name()}",
        f"set `resources.processes_per_node: {gpus}`, ask for {ranks.local_world_size} GPUs a "
        'node, or export CUDA_VISIBLE_DEVICES="" to run on the CPU',
    )


def _world(ranks: Ranks) -> World:
    gpu = choose_gpu(ranks, torch.cuda.device_count(), os.environ)
    return World(
        rank=ranks.rank,
        world_size=ranks.world_size,
        local_rank=ranks.local_rank,
        local_world_size=ranks.local_world_size,
        node_rank=ranks.node_rank,
        node=_node_name(),
        backend="gloo" if gpu is None else "nccl",
        device=torch.device("cpu") if gpu is None else torch.device("cuda", gpu),
    )


def _node_name() -> str:
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _place(world: World) -> str:
    return f"rank {world.rank}/{world.world_size} on {world.node}"


def _torch_variables(ranks: Ranks) -> dict[str, str]:
    variables = {
        "RANK": str(ranks.rank),
        "WORLD_SIZE": str(ranks.world_size),
        "LOCAL_RANK": str(ranks.local_rank),
        "LOCAL_WORLD_SIZE": str(ranks.local_world_size),
    }
    if ranks.world_size > 1:
        variables["MASTER_ADDR"] = ranks.master_addr or _first_node_of_submitit()
        variables["MASTER_PORT"] = str(ranks.master_port)
    return variables


def _first_node_of_submitit() -> str:
    import submitit

    return str(submitit.JobEnvironment().hostnames[0])


@contextmanager
def _exported(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _join(world: World, timeout: timedelta) -> None:
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    store = _meet(world, timeout)
    _agree_on_backend(world, store)
    dist.init_process_group(
        world.backend,
        store=PrefixStore("default_pg", store),
        rank=world.rank,
        world_size=world.world_size,
        timeout=timeout,
        device_id=world.device if world.backend == "nccl" else None,
    )


def _meet(world: World, timeout: timedelta) -> Store:
    """Return the store in which the ranks find each other."""
    if world.world_size == 1:
        return HashStore()
    try:
        store: Store
        store, _, _ = next(rendezvous("env://", world.rank, world.world_size, timeout=timeout))
    except RuntimeError as error:  # torch's DistError is one, and so is its refusal to bind
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise DistributedError(
            f"the ranks could not meet at {address} within {timeout.total_seconds():g} s: {error}",
            _place(world),
            "see whether rank 0 has started, whether this node can resolve and reach that "
            "address, and whether the port is free there",
        ) from error
    store.set_timeout(timeout)
    return store


def _agree_on_backend(world: World, store: Store) -> None:
    """Refuse a world where some ranks have GPUs and some have not: it would only hang."""
    mine = f"{world.backend} ({_place(world)})"
    first = store.compare_set("slurmkit/backend", "", mine).decode()
    if first.split()[0] != world.backend:
        raise DistributedError(
            f"some ranks have a GPU and some have not: {first}, but {mine}",
            _place(world),
            "run nvidia-smi on both nodes: one has no working GPU, or a torch without CUDA",
        )


def _leave(world: World) -> None:
    gc.collect()
    try:
        dist.barrier()
    except RuntimeError as error:
        raise DistributedError(
            f"this rank has finished, but another one has not: {error}",
            _place(world),
            "read the log of the rank that failed first",
        ) from error
    finally:
        dist.destroy_process_group()
