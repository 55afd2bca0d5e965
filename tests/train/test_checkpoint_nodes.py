"""Directories that nodes do not share: who writes what, what is recorded, what can be used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from slurmkit.train.checkpoint import CheckpointError, metadata
from slurmkit.train.checkpoint.check import check
from slurmkit.train.distributed import World
from tests.train import sharded, world


def fill_again(here: World, directories: list[Path], replicas: int) -> str:
    """Load what is newest, on these directories; return why it cannot be."""
    mesh = sharded.mesh_of(here.world_size, replicas)
    checkpoints = sharded.opened(directories[here.rank], here, mesh)
    try:
        path = checkpoints.newest()
    except CheckpointError as error:
        return str(error)
    if path is None:
        return "none"
    held = sharded.contents(0, mesh, here.rank)
    try:
        checkpoints.load(path, held)
    except CheckpointError as error:
        return str(error)
    assert sharded.wrong(held, 1, mesh) == []
    return ""


def save(here: World, directories: list[Path], replicas: int) -> None:
    mesh = sharded.mesh_of(here.world_size, replicas)
    checkpoints = sharded.opened(directories[here.rank], here, mesh)
    assert checkpoints.save(1, sharded.contents(1, mesh, here.rank)).path


def files(directory: Path) -> set[str]:
    folder = directory / "checkpoint-1"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors")}


def test_sharded_between_nodes_each_has_its_part(tmp_path: Path) -> None:
    nodes = [tmp_path / "node0", tmp_path / "node1"]
    world.run(2, save, nodes, 1, SLURMD_NODENAME="n")
    names = {
        rank: {metadata.model_file(rank), metadata.optimizer_file(rank), metadata.rng_file(rank)}
        for rank in range(2)
    }
    assert [files(node) for node in nodes] == [names[0], names[1]]
    about = metadata.read(nodes[0] / "checkpoint-1")
    assert about == metadata.read(nodes[1] / "checkpoint-1")
    assert about.files[metadata.model_file(1)].places == (f"n:{nodes[1]}",)
    assert about.files["tokenizer.json"].places == (f"n:{nodes[0]}", f"n:{nodes[1]}")

    assert world.run(2, fill_again, nodes, 1, SLURMD_NODENAME="n") == ["", ""]
    errors = world.run(2, fill_again, nodes[::-1], 1, SLURMD_NODENAME="n")
    assert errors[0].startswith("rank 0: ")
    assert f"{metadata.model_file(0)}: saved at n:{nodes[0]}/checkpoint-1" in errors[0]

    # Collected into one directory, it is whole, and any number of ranks can use it.
    one = tmp_path / "collected"
    for node in nodes:
        shutil.copytree(node, one, dirs_exist_ok=True)
    assert check(one / "checkpoint-1", about) == []
    assert world.run(1, fill_again, [one], 1) == [""]

    shutil.rmtree(nodes[1] / "checkpoint-1")  # a node that is not the one it was
    assert world.run(2, fill_again, nodes, 1, SLURMD_NODENAME="n") == ["none", "none"]


def test_replicated_between_nodes_each_has_all(tmp_path: Path) -> None:
    nodes = [tmp_path / "node0", tmp_path / "node0", tmp_path / "node1", tmp_path / "node1"]
    world.run(4, save, nodes, 2)
    for node in (nodes[0], nodes[2]):
        held = {name for name in files(node) if "rng" not in name}
        assert held == {
            name
            for shard in range(2)
            for name in (metadata.model_file(shard), metadata.optimizer_file(shard))
        }
    about = metadata.read(nodes[0] / "checkpoint-1")
    assert (about.num_shards, about.mesh.replicate, about.mesh.shard) == (2, 2, 2)
    assert len(about.files[metadata.model_file(1)].places) == 2
    assert world.run(4, fill_again, nodes, 2) == [""] * 4
    changed = nodes[2] / "checkpoint-1" / metadata.model_file(1)
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    errors = world.run(4, fill_again, nodes, 2)
    assert all(f"none is whole: rank 2: {changed}: damaged" in error for error in errors)


def test_one_replica_writes_into_a_shared_directory(tmp_path: Path) -> None:
    world.run(4, save, [tmp_path] * 4, 2)
    assert {name for name in files(tmp_path) if "adapter" in name} == {
        metadata.model_file(0),
        metadata.model_file(1),
    }
    about = metadata.read(tmp_path / "checkpoint-1")
    assert about.places() == set()
    assert check(tmp_path / "checkpoint-1", about) == []
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def drift(here: World, directories: list[Path]) -> str:
    mesh = sharded.mesh_of(2, replicas=2)
    checkpoints = sharded.opened(directories[here.rank], here, mesh)
    return checkpoints.save(1, sharded.contents(here.rank, mesh, here.rank)).error or ""


def test_replicas_that_differ_are_told(tmp_path: Path) -> None:
    errors = world.run(2, drift, [tmp_path / "a", tmp_path / "b"])
    assert all("adapter_model.rank0.safetensors differs on ranks 0 and 1" in e for e in errors)


def test_a_directory_that_cannot_be_made_is_told_by_all(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError, match=r"no checkpoint can be written here: .*\(rank 1\)"):
        world.run(2, save, [tmp_path / "a", tmp_path / "file" / "b"], 1)
