"""Start real processes that form a world over loopback, as torchrun or srun would start them."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAUNCHERS = ("SLURM", "TORCHELASTIC_", "SUBMITIT_", "MASTER_", "GROUP_", "ROLE_", "LOCAL_")
SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """What a process left."""

    status: int
    stdout: str
    stderr: str


def clean_environment() -> dict[str, str]:
    """Return this environment without what a launcher or an outer job has set."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(LAUNCHERS) and name not in {"RANK", "WORLD_SIZE"}
    }
    return environment | {
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def free_port() -> int:
    """Return a port that nobody uses now, below those that the kernel hands out to clients."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def run_all(
    commands: Sequence[tuple[Sequence[str], Mapping[str, str]]], seconds: float = SECONDS
) -> list[Ended]:
    """Run commands at the same time and return what they left, in their order."""
    processes = [
        subprocess.Popen(
            command,
            env={**clean_environment(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command, environment in commands
    ]
    try:
        ended = []
        for process in processes:
            stdout, stderr = process.communicate(timeout=seconds)
            ended.append(Ended(process.returncode, stdout, stderr))
        return ended
    finally:
        for process in processes:
            process.kill()
            process.wait()


def python(*arguments: str, **environment: str) -> Ended:
    """Run Python alone."""
    return run_all([([sys.executable, *arguments], environment)])[0]


def ranks(count: int, *arguments: str, seconds: float = 180, **environment: str) -> list[Ended]:
    """Run Python as the ranks of one node, without a launcher."""
    world = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    return run_all(
        [
            (
                [sys.executable, *arguments],
                world | {"RANK": str(rank), "LOCAL_RANK": str(rank)} | environment,
            )
            for rank in range(count)
        ],
        seconds,
    )


def torchrun(*arguments: str, **environment: str) -> list[Ended]:
    """Run a program on two nodes of two processes, each node with an address of its own."""
    port = free_port()
    return run_all(
        [
            (
                [
                    *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2"),
                    *("--nproc-per-node=2", f"--node-rank={node}", "--master-addr=127.0.0.1"),
                    *(f"--master-port={port}", f"--local-addr=127.0.0.{node + 1}", *arguments),
                ],
                environment | {"SLURMD_NODENAME": f"node{node}"},
            )
            for node in range(2)
        ]
    )


def srun(*arguments: str, **environment: str) -> list[Ended]:
    """Run Python as the two tasks of one step on one node, with the variables that Slurm sets."""
    step = {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_NODEID": "0",
        "SLURMD_NODENAME": "node0",
    }
    return run_all(
        [
            (
                [sys.executable, *arguments],
                step | {"SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)} | environment,
            )
            for task in range(2)
        ]
    )
