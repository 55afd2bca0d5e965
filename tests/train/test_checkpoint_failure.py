"""A save that fails is told by all ranks, and leaves what was there as it was."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from slurmkit.train.checkpoint import CheckpointError, metadata
from slurmkit.train.checkpoint.check import check
from slurmkit.train.checkpoint.saving import Saving
from slurmkit.train.distributed import World
from tests.train import sharded, world


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small disk takes root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def whole(directory: Path) -> list[str]:
    """The whole checkpoints in a directory; nothing else may be there."""
    for path in directory.iterdir():
        assert metadata.step_of(path.name) is not None, path
        assert check(path, metadata.read(path)) == [], path
    return sorted(path.name for path in directory.iterdir())


def fill_the_disk(here: World, directory: Path) -> None:
    mesh = sharded.mesh_of(2)
    checkpoints = sharded.opened(directory, here, mesh)
    for number in (1, 2):
        held = sharded.contents(number, mesh, here.rank, width=40_000)
        assert checkpoints.save(number, held).error is None
    failed = checkpoints.save(3, sharded.contents(3, mesh, here.rank, width=60_000))
    assert failed.path is None
    assert failed.error
    assert "No space left on device" in failed.error
    assert "rank " in failed.error
    assert "checkpoint-3.attempt0" in failed.error
    checkpoints.when_failed = "stop"
    with pytest.raises(CheckpointError, match="No space left on device"):
        checkpoints.save(3, sharded.contents(3, mesh, here.rank, width=60_000))
    assert checkpoints.save(4, sharded.contents(4, mesh, here.rank)).path


def test_a_full_disk(disk: Path) -> None:
    world.run(2, fill_the_disk, disk)
    assert whole(disk) == ["checkpoint-1", "checkpoint-2", "checkpoint-4"]


def make_it_read_only(here: World, directory: Path) -> None:
    mesh = sharded.mesh_of(2)
    checkpoints = sharded.opened(directory, here, mesh)
    assert checkpoints.save(1, sharded.contents(1, mesh, here.rank)).path
    if here.rank == 0:
        subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
    torch.distributed.barrier()
    failed = checkpoints.save(2, sharded.contents(2, mesh, here.rank))
    assert failed.error
    assert "Read-only file system" in failed.error
    with pytest.raises(CheckpointError, match=r"no checkpoint can be written here: Read-only"):
        sharded.opened(directory, here, mesh)
    torch.distributed.barrier()
    if here.rank == 0:
        subprocess.run(["mount", "-o", "remount,rw", str(directory)], check=True)
    torch.distributed.barrier()
    assert checkpoints.save(3, sharded.contents(3, mesh, here.rank)).path


def test_a_directory_that_becomes_read_only(disk: Path) -> None:
    world.run(2, make_it_read_only, disk)
    assert whole(disk) == ["checkpoint-1", "checkpoint-3"]


def one_rank_fails(here: World, directory: Path) -> list[str | None]:
    mesh = sharded.mesh_of(2)
    checkpoints = sharded.opened(directory, here, mesh)
    assert checkpoints.save(1, sharded.contents(1, mesh, here.rank)).path
    held = sharded.contents(2, mesh, here.rank)
    if here.rank == 1:
        held.rank_state["odd"] = torch.zeros(2, dtype=torch.complex64)  # type: ignore[index]
    return [checkpoints.save(step, held).error for step in (1, 2)]


def test_one_rank_that_fails_is_named_by_all(tmp_path: Path) -> None:
    errors = world.run(2, one_rank_fails, tmp_path)
    assert errors[0] == errors[1]
    assert all(
        f"{tmp_path}/checkpoint-{step} was not saved: rank 1:" in error
        for step, error in enumerate(errors[0], 1)
    )
    assert whole(tmp_path) == ["checkpoint-1"]


def commit_fails(here: World, directories: list[Path]) -> str | None:
    """The nodes share no directory; on the second one the commit fails after the first one's."""
    mesh = sharded.mesh_of(2)
    checkpoints = sharded.opened(directories[here.rank], here, mesh)
    assert checkpoints.save(1, sharded.contents(1, mesh, here.rank)).path
    if here.rank == 1:

        def fails(*_: object) -> None:
            raise OSError(5, "Input/output error")

        Saving.commit = fails  # type: ignore[assignment]
    errors = [checkpoints.save(step, sharded.contents(2, mesh, here.rank)).error for step in (1, 2)]
    assert errors[0]
    held = sharded.contents(0, mesh, here.rank)
    path = checkpoints.newest()
    assert path == directories[here.rank] / "checkpoint-1"
    checkpoints.load(path, held)
    assert sharded.wrong(held, 1, mesh) == []
    return errors[1]


def test_a_commit_that_fails_on_one_node_is_taken_back_on_the_others(tmp_path: Path) -> None:
    directories = [tmp_path / "node0", tmp_path / "node1"]
    errors = world.run(2, commit_fails, directories)
    assert "rank 1: OSError: [Errno 5] Input/output error" in errors[0]
    assert errors[0].replace("node0", "node1") == errors[1]
    assert [[path.name for path in each.iterdir()] for each in directories] == [
        ["checkpoint-1"]
    ] * 2
