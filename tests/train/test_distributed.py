"""Joining and leaving the world, and what happens when a rank does not."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed import HashStore  # type: ignore[attr-defined]

from slurmkit.train import distributed as module
from slurmkit.train.distributed import World, choose_gpu, distributed
from slurmkit.train.ranks import Ranks
from slurmkit.train.variables import DistributedError
from tests.train.launch import clean_environment, free_port, srun, torchrun

RANK_1_RAISES = """
import time
from slurmkit.train.distributed import distributed
with distributed() as world:
    if world.rank == 1:
        raise ValueError("no such expert")
    import torch, torch.distributed as dist
    dist.all_reduce(torch.ones(1))
print("after")
"""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that no launcher has touched."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def rank_1_raises(tmp_path: Path) -> str:
    script = tmp_path / "raises.py"
    script.write_text(RANK_1_RAISES)
    return str(script)


def test_a_rank_that_raises_ends_the_job_with_its_traceback(rank_1_raises: str) -> None:
    ended = torchrun(rank_1_raises)
    assert all(each.status != 0 for each in ended)
    assert "ValueError: no such expert" in ended[0].stderr
    assert not any("after" in each.stdout for each in ended)


def test_a_rank_that_raises_ends_its_task_under_srun(rank_1_raises: str) -> None:
    port = str(free_port())
    ended = srun(rank_1_raises, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    assert [each.status for each in ended] == [1, 1]
    assert "ValueError: no such expert" in ended[1].stderr


def test_unreachable_master_is_told_in_words(tmp_path: Path) -> None:
    script = tmp_path / "joins.py"
    script.write_text(
        "from datetime import timedelta\nfrom slurmkit.train.distributed import distributed\n"
        "with distributed(timeout=timedelta(seconds=2)): pass\n"
    )
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    late = srun(str(script), SLURM_PROCID="1", SLURM_LOCALID="1", **address)
    assert "could not meet at 127.0.0.1:" in late[0].stderr
    assert "within 2 s" in late[0].stderr


def test_the_block_exports_what_torchrun_would_and_cleans_up(alone: None) -> None:
    for _ in range(2):
        with distributed(timeout=timedelta(seconds=20)) as world:
            assert (world.rank, world.world_size, world.backend) == (0, 1, "gloo")
            assert os.environ["LOCAL_RANK"] == "0"
            numbers = torch.ones(3, device=world.device)
            dist.all_reduce(numbers)
            assert numbers.tolist() == [1, 1, 1]
        assert not dist.is_initialized()
        assert "LOCAL_RANK" not in os.environ


def test_an_error_in_the_block_leaves_no_process_group(alone: None) -> None:
    with pytest.raises(ZeroDivisionError), distributed():
        raise ZeroDivisionError
    assert not dist.is_initialized()


def test_a_second_block_inside_the_first_is_refused(alone: None) -> None:
    with distributed():
        with pytest.raises(DistributedError, match="already there"), distributed():
            pass
        assert dist.is_initialized()


def test_the_timeout_reaches_the_collectives(alone: None) -> None:
    with distributed(timeout=timedelta(seconds=77)):
        group = dist.distributed_c10d._get_default_group()
        backend = group._get_backend(torch.device("cpu"))
        assert backend.options._timeout == timedelta(seconds=77)


def test_ranks_with_and_without_a_gpu_are_refused() -> None:
    store = HashStore()
    with_gpu = World(0, 2, 0, 1, 0, "node0", "nccl", torch.device("cuda", 0))
    without = World(1, 2, 0, 1, 1, "node1", "gloo", torch.device("cpu"))
    module._agree_on_backend(with_gpu, store)
    with pytest.raises(DistributedError, match=r"nccl \(rank 0/2 on node0\), but gloo \(rank 1/2"):
        module._agree_on_backend(without, store)


def test_submitit_names_the_master_on_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "rack[2-3]n[07,09]")
    ranks = Ranks("submitit", 1, 2, 0, 1, 1, None, 20000)
    assert module._torch_variables(ranks)["MASTER_ADDR"] == "rack2n07"


@pytest.mark.parametrize(
    ("gpus", "environment", "expected"),
    [
        (0, {}, None),
        (4, {}, 3),
        (8, {}, 3),
        (1, {"SLURM_GPUS_PER_TASK": "1"}, 0),
        (1, {"SLURM_TRES_PER_TASK": "cpu=3,gres/gpu:1"}, 0),
    ],
)
def test_gpu_of_a_rank(gpus: int, environment: dict[str, str], expected: int | None) -> None:
    assert choose_gpu(Ranks("slurm", 3, 4, 3, 4), gpus, environment) == expected


@pytest.mark.parametrize("local_rank", [0, 3])
def test_fewer_gpus_than_processes_is_refused_on_every_rank(local_rank: int) -> None:
    with pytest.raises(DistributedError, match="4 processes on this node, but torch sees 2 GPU"):
        choose_gpu(
            Ranks("slurm", local_rank, 4, local_rank, 4), 2, {"SLURM_TRES_PER_TASK": "cpu=3"}
        )
