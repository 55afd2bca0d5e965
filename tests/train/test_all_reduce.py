"""The demo, under every launcher that an environment can name."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import submitit
import torch

from slurmkit.train.all_reduce.bandwidth import bandwidth, table
from slurmkit.train.all_reduce.demo import check_sum
from slurmkit.train.distributed import World
from slurmkit.train.variables import DistributedError
from tests.train.launch import Ended, clean_environment, free_port, python, srun, torchrun

MODULE = "slurmkit.train.all_reduce"
ROW = re.compile(r" *\d+ [KMG]?i?B +\d+\.\d us +\d+\.\d{4} GB/s +\d+\.\d{4} GB/s")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"sizes: [1024, 65536]\niterations: 3\nwarmup: 1\njson: {tmp_path}/mine.json\n"
    )
    return config


def rank_lines(ended: list[Ended]) -> list[str]:
    lines = [line for each in ended for line in each.stdout.splitlines()]
    return sorted(line for line in lines if line.startswith("rank "))


def assert_all_done(ended: list[Ended]) -> None:
    assert [each.status for each in ended] == [0] * len(ended), "\n".join(e.stderr for e in ended)


def test_torchrun_on_two_nodes(small: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = torchrun("-m", MODULE, "--config", str(small), SLURMKIT_RUN_DIR=str(run))
    assert_all_done(ended)
    assert rank_lines(ended) == [
        "rank 0/4 host node0 local rank 0/2",
        "rank 1/4 host node0 local rank 1/2",
        "rank 2/4 host node1 local rank 0/2",
        "rank 3/4 host node1 local rank 1/2",
    ]
    assert "4 rank(s) on 2 node(s): the sum is 10, as expected" in ended[0].stdout
    rows = ended[0].stdout.splitlines()[-2:]
    assert all(map(ROW.fullmatch, rows)), rows
    assert "GB/s" not in ended[1].stdout

    result = json.loads((run / "result.json").read_text())
    assert (result["sum"], result["world_size"], result["nodes"]) == (10, 4, 2)
    assert [row["bytes"] for row in result["bandwidth"]] == [1024, 65536]
    assert all(row["busbw"] == pytest.approx(row["algbw"] * 1.5) for row in result["bandwidth"])
    assert json.loads((tmp_path / "mine.json").read_text()) == result
    status = json.loads((run / "status.json").read_text())
    assert status == {"state": "done", "reason": None, "step": None}
    assert not list(run.glob("*.part"))


def test_one_process_with_defaults(tmp_path: Path) -> None:
    ended = python("-m", MODULE, SLURMKIT_RUN_DIR=str(tmp_path))
    assert_all_done([ended])
    assert ended.stdout == (
        f"rank 0/1 host {socket.gethostname()} local rank 0/1\n"
        "1 rank(s) on 1 node(s): the sum is 1, as expected\n"
        "one rank alone moves nothing: no bandwidth to measure\n"
    )
    assert json.loads((tmp_path / "result.json").read_text())["bandwidth"] == []


def test_srun_with_one_task_a_rank(small: Path) -> None:
    port = str(free_port())
    ended = srun(*("-m", MODULE, "--config", str(small)), MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    assert_all_done(ended)
    assert rank_lines(ended) == [f"rank {n}/2 host node0 local rank {n}/2" for n in range(2)]
    assert "the sum is 3, as expected" in ended[0].stdout


def test_srun_without_master_is_refused_in_words(tmp_path: Path) -> None:
    ended = srun("-m", MODULE, SLURMKIT_RUN_DIR=str(tmp_path))
    assert [each.status for each in ended] == [1, 1]
    assert "2 worlds of one" in ended[0].stderr
    assert "Traceback" not in ended[0].stderr
    assert "where: node node0, task 1\n" in ended[1].stderr


def demo_in_submitit(config: dict[str, Any]) -> dict[str, Any]:
    """Called by name on the other side of a pickle."""
    from slurmkit.train.all_reduce import main

    return main(config)


def test_submitit_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)
    executor = submitit.LocalExecutor(folder=tmp_path)
    executor.update_parameters(tasks_per_node=2, timeout_min=2)
    job = executor.submit(demo_in_submitit, {"sizes": [1024], "iterations": 2})
    assert [result["sum"] for result in job.results()] == [3, 3]


def test_bus_bandwidth_is_that_of_nccl_tests() -> None:
    measured = bandwidth(4_000_000_000, 2.0, world_size=4)
    assert (measured.algbw, measured.busbw) == (2.0, 3.0)
    assert bandwidth(1024, 1e-3, world_size=1).busbw == 0


def test_table_is_aligned() -> None:
    lines = table([bandwidth(1000, 1e-6, 2), bandwidth(3 * 1024**3, 0.5, 64)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[:2] == ["1000", "B"]
    assert lines[2].split()[:2] == ["3", "GiB"]


def test_wrong_sum_names_the_rank() -> None:
    world = World(3, 4, 1, 2, 1, "node1", "gloo", torch.device("cpu"))
    assert check_sum(world, torch.full((8,), 10)) == 10
    numbers = torch.full((8,), 10)
    numbers[5] = 7
    with pytest.raises(
        DistributedError, match="rank 3 received a wrong sum: 7 instead of 10, in 1"
    ):
        check_sum(world, numbers)
