"""Several ranks in a few tenths of a second: processes forked from one that has imported torch."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from tests.train.launch import LAUNCHERS, free_port

SECONDS = 60
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "torch.distributed.tensor", "slurmkit.train.distributed"])


def start(
    world_size: int, function: Callable[..., Any], *args: Any, **variables: str
) -> list[tuple[BaseProcess, Connection]]:
    """Start ranks that each call a function of a module with their World; return pipes to them."""
    port = str(free_port())
    started: list[tuple[BaseProcess, Connection]] = []
    for rank in range(world_size):
        here, there = _CONTEXT.Pipe()
        environment = {
            "RANK": str(rank),
            "WORLD_SIZE": str(world_size),
            "LOCAL_RANK": str(rank),
            "LOCAL_WORLD_SIZE": str(world_size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "GLOO_SOCKET_IFNAME": "lo",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        process = _CONTEXT.Process(
            target=_be_a_rank, args=(there, environment | variables, function, args)
        )
        process.start()
        there.close()
        started.append((process, here))
    return started


def run(world_size: int, function: Callable[..., Any], *args: Any, **variables: str) -> list[Any]:
    """Return what the function returns on each rank.

    Raises:
        AssertionError: it raised on one; the text is its traceback.
    """
    started = start(world_size, function, *args, **variables)
    try:
        deadline = time.monotonic() + SECONDS
        answers: dict[int, Any] = {}
        while len(answers) < world_size:
            pipes = {pipe: rank for rank, (_, pipe) in enumerate(started) if rank not in answers}
            ready = wait(list(pipes), timeout=max(0, deadline - time.monotonic()))
            assert ready, f"ranks {sorted(pipes.values())} do not end"
            for pipe in ready:
                assert isinstance(pipe, Connection)
                error, answers[pipes[pipe]] = pipe.recv()
                assert not error, error
        return [answers[rank] for rank in range(world_size)]
    finally:
        for process, pipe in started:
            process.kill()
            process.join()
            pipe.close()


def _be_a_rank(
    pipe: Connection, environment: dict[str, str], function: Callable[..., Any], args: Any
) -> None:
    for name in [name for name in os.environ if name.startswith(LAUNCHERS)]:
        del os.environ[name]
    os.environ.update(environment)
    import torch

    from slurmkit.train.distributed import distributed

    torch.set_num_threads(1)
    try:
        with distributed() as world:
            answer = function(world, *args)
        pipe.send(("", answer))
    except BaseException:
        pipe.send((f"rank {environment['RANK']}: {traceback.format_exc()}", None))
    pipe.close()
