"""What one number of ranks saved, any other loads, to the bit; and so does torch's own reader."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint import _hf_utils
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict_loader import load as torch_load

from slurmkit.train.checkpoint import CheckpointError, metadata
from slurmkit.train.checkpoint.check import check
from slurmkit.train.checkpoint.headers import SHARDING, read_header
from slurmkit.train.distributed import World
from tests.train import sharded, world


def save(here: World, directory: Path) -> None:
    mesh = sharded.mesh_of(here.world_size)
    saved = sharded.opened(directory, here, mesh).save(1, sharded.contents(1, mesh, here.rank))
    assert saved.path == directory / "checkpoint-1"


def load(here: World, directory: Path, saved_by: int) -> None:
    mesh = sharded.mesh_of(here.world_size)
    checkpoints = sharded.opened(directory, here, mesh)
    held = sharded.contents(0, mesh, here.rank)
    assert sharded.wrong(held, 1, mesh)
    path = checkpoints.newest()
    assert path == directory / "checkpoint-1"
    loaded = checkpoints.load(path, held)
    assert sharded.wrong(held, 1, mesh) == []
    assert (loaded.step, loaded.state, loaded.metadata.global_batch) == (1, {"number": 1}, 12)
    if here.world_size == saved_by:
        assert loaded.rank_state is not None
        assert loaded.rank_state["rank"].tolist() == [here.rank, 1]
    else:
        assert loaded.rank_state is None


@pytest.fixture(scope="module", params=[4, 3])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("saved") / str(request.param)
    world.run(request.param, save, directory)
    return directory


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_any_number_of_ranks_loads_what_another_saved(saved: Path, ranks: int) -> None:
    world.run(ranks, load, saved, int(saved.name))


def test_uneven_and_empty_shards_are_on_disk_as_they_are(saved: Path) -> None:
    folder = saved / "checkpoint-1"
    about = metadata.read(folder)
    shards = int(saved.name)
    assert (about.num_shards, about.world_size, about.mode) == (shards, shards, "full")
    assert {name: each.shape for name, each in about.tensors.items()} == sharded.SHAPES
    assert check(folder, about) == []
    files = [read_header(folder / metadata.model_file(shard)) for shard in range(shards)]
    rows = {
        name: [file[name].shape[0] for file in files if name in file] for name in sharded.SHAPES
    }
    assert rows["a"] == {4: [2, 2, 2, 2], 3: [3, 3, 2]}[shards]
    assert rows["b"] == [1, 1]


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_torch_reads_the_files(saved: Path) -> None:
    tensors = {name: torch.zeros_like(each) for name, each in sharded.truth(1).items()}
    folder = saved / "checkpoint-1"
    torch_load(tensors, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
    assert all(torch.equal(tensors[name], each) for name, each in sharded.truth(1).items())
    tensors = {name: torch.zeros_like(each) for name, each in sharded.moments(1).items()}
    reader = HuggingFaceStorageReader(str(folder / "optimizer"))
    torch_load(tensors, storage_reader=reader, no_dist=True)
    assert all(torch.equal(tensors[name], each) for name, each in sharded.moments(1).items())


def test_the_keys_of_the_header_are_still_torchs() -> None:
    assert SHARDING == _hf_utils.CUSTOM_METADATA_KEY
    assert _hf_utils.SAVED_OFFSETS_KEY == "saved_offsets"


def other_model(here: World, directory: Path) -> None:
    mesh = sharded.mesh_of(here.world_size)
    checkpoints = sharded.opened(directory, here, mesh)
    path = checkpoints.newest()
    assert path
    held = sharded.contents(0, mesh, here.rank)
    del held.model["e"]
    with pytest.raises(CheckpointError, match="e is in the checkpoint only"):
        checkpoints.load(path, held)
    held.model["e"] = torch.zeros(4)
    with pytest.raises(CheckpointError, match=r"e is float32\[3\], the model's float32\[4\]"):
        checkpoints.load(path, held)
    held.model["e"] = torch.zeros(3)
    if here.rank == 1:  # one rank's trouble is everyone's: no other goes on alone
        held.model["more"] = torch.zeros(3)
    with pytest.raises(CheckpointError, match=r"rank 1: .*more is in the model only"):
        checkpoints.load(path, held)


def test_tensors_of_another_model_are_refused_by_name(saved: Path) -> None:
    world.run(2, other_model, saved)
