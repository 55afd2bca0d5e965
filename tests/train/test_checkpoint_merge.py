"""Merged adapters are what was trained, to the bit; what is not whole is not merged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import (
    Glm4MoeConfig,
    Glm4MoeForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from slurmkit.train.checkpoint import files
from slurmkit.train.checkpoint.check import check
from slurmkit.train.checkpoint.collect import collect, local
from slurmkit.train.checkpoint.merge import merge
from slurmkit.train.checkpoint.metadata import CheckpointError, read
from tests.train.launch import free_port, run_all
from tests.train.shards import some_tensors, write_checkpoint

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]
TINY: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


RANKS = """
import sys
from pathlib import Path
import torch
from torch.distributed.device_mesh import init_device_mesh
from slurmkit.train.checkpoint import Checkpoints, Contents, Place, optimizer_tensors
from slurmkit.train.control import Control
from slurmkit.train.distributed import distributed
from slurmkit.train.finetune import adapter
from slurmkit.train.finetune.config import LoraConfig
from tests.train.test_checkpoint_merge import glm, llama

with distributed() as world, torch.device("cpu"):
    control, tokens = Control(), torch.arange(20).reshape(2, 10)
    mesh = init_device_mesh("cpu", (1, 2), mesh_dim_names=("replicate", "shard"))
    for make in (llama, glm):
        model = adapter.attach(make(), LoraConfig(r=3), 0, "tiny")  # 3 rows on 2 ranks
        adapter.shard(model, mesh, torch.float32)
        tensors = adapter.trainable(model)
        optimizer = torch.optim.AdamW(tensors.values(), lr=0.1)
        for _ in range(2):
            model(tokens, labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            logits = model.eval()(tokens).logits
        place = Path(sys.argv[1]) / f"config{world.rank}"
        model.peft_config["default"].save_pretrained(str(place))
        files = {path.name: path.read_bytes() for path in place.iterdir()}
        kept = Checkpoints(Path(sys.argv[1]) / make.__name__, control, Place(world.rank, 2))
        moments = optimizer_tensors(tensors, optimizer)
        kept.save(2, Contents(tensors, moments, {"step": 2}, None, files))
        if world.rank == 0:
            torch.save(logits, Path(sys.argv[1]) / f"{make.__name__}.pt")
        del model, tensors, optimizer, moments, kept
    del control, mesh
"""


def llama() -> PreTrainedModel:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**TINY))


def glm() -> PreTrainedModel:
    torch.manual_seed(0)
    experts: dict[str, Any] = {
        "head_dim": 8,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
    }
    return Glm4MoeForCausalLM(Glm4MoeConfig(**TINY, **experts))


@pytest.mark.parametrize("make", [llama, glm])
@pytest.mark.parametrize(("r", "shards"), [(8, 1), (8, 3), (2, 4)])
def test_peft_loads_it_and_gives_the_trained_logits(
    make: Callable[[], PreTrainedModel], r: int, shards: int, tmp_path: Path
) -> None:
    config = LoraConfig(r=r, target_modules=TARGETS, task_type="CAUSAL_LM")
    trained = get_peft_model(make(), config).eval()
    for parameter in trained.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)  # B of a new adapter is zero
    trained.peft_config["default"].save_pretrained(str(tmp_path))
    described = json.loads((tmp_path / "adapter_config.json").read_text())
    tensors = get_peft_model_state_dict(trained)
    folder = write_checkpoint(tmp_path / "checkpoint-3", tensors, shards=shards, config=described)

    done = merge(folder, tmp_path / "adapter")

    tokens = torch.arange(20).reshape(2, 10)
    loaded = PeftModel.from_pretrained(make(), tmp_path / "adapter")
    assert torch.equal(loaded(tokens).logits, trained(tokens).logits)
    with loaded.disable_adapter():
        assert not torch.equal(loaded(tokens).logits, trained(tokens).logits)
    assert done.tensors == len(tensors) == 16
    assert (tmp_path / "adapter" / "tokenizer.json").read_text() == "{}"
    names = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert names == {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"}


@pytest.mark.parametrize("dimension", [0, 1])
@pytest.mark.parametrize("shards", [1, 2, 3, 5])
def test_every_shape_and_type_comes_back(shards: int, dimension: int, tmp_path: Path) -> None:
    tensors = some_tensors()
    folder = write_checkpoint(
        tmp_path / "checkpoint-1", tensors, shards=shards, dimension=dimension
    )
    merge(folder, tmp_path / "deep" / "adapter")
    path = tmp_path / "deep" / "adapter" / "adapter_model.safetensors"
    found = load_file(path)
    assert set(found) == set(tensors)
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_what_two_ranks_trained_together_is_what_peft_loads(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    port = free_port()
    ended = run_all(
        [
            (
                [sys.executable, str(script), str(tmp_path)],
                {
                    "RANK": str(rank),
                    "WORLD_SIZE": "2",
                    "LOCAL_RANK": str(rank),
                    "LOCAL_WORLD_SIZE": "2",
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port),
                    "PYTHONPATH": str(Path(__file__).parents[2]),
                },
            )
            for rank in range(2)
        ]
    )
    assert [each.status for each in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    tokens = torch.arange(20).reshape(2, 10)
    for make in (llama, glm):
        folder = tmp_path / make.__name__ / "checkpoint-2"
        assert {path.name for path in folder.glob("*.safetensors")} == {
            "adapter_model.rank0.safetensors",
            "adapter_model.rank1.safetensors",
        }
        metadata = read(folder)
        assert check(folder, metadata) == []
        merge(folder, tmp_path / f"{make.__name__}-adapter")
        loaded = PeftModel.from_pretrained(make(), tmp_path / f"{make.__name__}-adapter")
        assert torch.equal(loaded(tokens).logits, torch.load(tmp_path / f"{make.__name__}.pt"))


def rewrite_metadata(folder: Path, **more: object) -> None:
    path = folder / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"a": [6, 3]}, "holds a piece of"),
        ({"f": [2]}, "f: is in 0 files"),
        ({"a": None}, "holds a, which metadata.json does not name"),
    ],
)
def test_shards_that_do_not_make_up_the_tensors_are_refused(
    tensors: dict[str, list[int] | None], told: str, tmp_path: Path
) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint-1", some_tensors())
    known = json.loads((folder / "metadata.json").read_text())["tensors"]
    for name, shape in tensors.items():
        known[name] = {"shape": shape, "dtype": "float32"}
        if shape is None:
            del known[name]
    rewrite_metadata(folder, tensors=known)
    with pytest.raises(CheckpointError, match=told):
        merge(folder, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_a_shard_too_few_or_twice_is_told_by_its_rows(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint-1", {"a": torch.ones(6, 2)}, shards=3)
    known = json.loads((folder / "metadata.json").read_text())
    files = known["files"]
    first, second, third = (f"adapter_model.rank{shard}.safetensors" for shard in range(3))
    last = files.pop(third)
    rewrite_metadata(folder, num_shards=2, files=files)
    with pytest.raises(CheckpointError, match=r"a: 4 to 6 of dimension 0 are in no file"):
        merge(folder, tmp_path / "adapter")
    files[second] = last
    (folder / second).write_bytes((folder / third).read_bytes())
    rewrite_metadata(folder, files=files)
    with pytest.raises(CheckpointError, match=r"a: 2 to 4 of dimension 0 are in no file"):
        merge(folder, tmp_path / "adapter")
    files[second] = files[first]
    (folder / second).write_bytes((folder / first).read_bytes())
    rewrite_metadata(folder, files=files)
    with pytest.raises(CheckpointError, match=r"a: 0 to 2 of dimension 0 are in two files"):
        merge(folder, tmp_path / "adapter")


def test_a_directory_that_is_not_free_is_left_alone(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint-1", some_tensors())
    later = write_checkpoint(tmp_path / "checkpoint-2", some_tensors(seed=1))
    into = tmp_path / "adapter"
    into.mkdir()  # an empty one is free
    merge(folder, into)
    with pytest.raises(FileExistsError, match="--force"):
        merge(later, into)
    merge(later, into, replace=True)
    assert torch.equal(
        load_file(into / "adapter_model.safetensors")["a"], some_tensors(seed=1)["a"]
    )
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "thesis.tex").touch()
    for precious in (notes, folder):
        before = sorted(precious.iterdir())
        with pytest.raises(FileExistsError, match="no merged adapter"):
            merge(later, precious, replace=True)
        assert sorted(precious.iterdir()) == before
    assert not list(tmp_path.glob(".*"))


def test_a_killed_merge_leaves_no_adapter_and_the_next_one_works(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint-1", some_tensors())
    into = tmp_path / "adapter"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from slurmkit.train.checkpoint import merge\n"
        "merge._commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "merge.merge(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, folder, into], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not into.exists()
    merge(folder, into)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_failing_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint-1", some_tensors())
    into = tmp_path / "adapter"
    merge(folder, into)
    before = (into / "adapter_model.safetensors").stat()

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError, match="No space"):
        merge(folder, into, replace=True)
    assert (into / "adapter_model.safetensors").stat() == before
    assert not list(tmp_path.glob(".*"))


def test_shards_of_several_places_are_brought_together(tmp_path: Path) -> None:
    whole = write_checkpoint(tmp_path / "checkpoint-1", some_tensors(), shards=4)
    node1, node2, view = tmp_path / "node1", tmp_path / "node2", tmp_path / "view"
    for place in (node1, node2):
        place.mkdir()
        (place / "metadata.json").write_bytes((whole / "metadata.json").read_bytes())
    for shard in range(4):
        name = f"adapter_model.rank{shard}.safetensors"
        (whole / name).rename((node1 if shard < 2 else node2) / name)
    for name in ("adapter_config.json", "tokenizer.json"):
        (whole / name).rename(node2 / name)
    (node1 / "adapter_model.rank2.safetensors").write_bytes(b"of another run")
    view.mkdir()
    with pytest.raises(CheckpointError) as caught:
        collect([local(node1), local(tmp_path / "nowhere")], view)
    told = str(caught.value).splitlines()
    asked = f"missing: asked {node1}, {tmp_path}/nowhere"
    assert f"adapter_model.rank3.safetensors: {asked}" in told
    assert f"adapter_config.json: {asked}" in told
    assert f"{tmp_path}/nowhere: there is no such directory" in told
    assert any("node1/adapter_model.rank2.safetensors: damaged: has 14 bytes" in e for e in told)
    assert len(told) == 6

    again = tmp_path / "again"
    again.mkdir()
    collect([local(tmp_path / "nowhere"), local(node1), local(node2)], again)
    merge(again, tmp_path / "adapter")
    found = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in some_tensors().items())
    assert (node2 / "adapter_model.rank3.safetensors").is_file()
