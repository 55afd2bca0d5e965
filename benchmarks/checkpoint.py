"""Saving GLM-4.5-Air's LoRA by shards, and by gathering: python benchmarks/checkpoint.py [DIR].

Four ranks over loopback hold the adapters of the true shapes (r=16: 31.65 million parameters in
368 tensors, fp32), AdamW's moments of them, and a frozen base that is much smaller than the true
one (213 GB in bf16), so that it fits into this machine. They save in turns, in one run, on the
disk of DIR (the system's temporary directory, unless it is told):

- by shards: `slurmkit.train.checkpoint`, lite and full, with sha256 and fsync;
- gathering the LoRA, then rank 0 saves it;
- gathering all with torch's `full_state_dict`, then rank 0 drops the base and saves the rest;
- `torch.distributed.checkpoint.save` of what the full save holds.

All end with their files on disk. Trainers that gather seldom call fsync, so that the ratio without
it is told, too; with another disk, or a busy one, it is another.

Bytes between ranks are what the kernel counted for the TCP connections of all ranks.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.checkpoint import state_dict_saver
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from transformers import Glm4MoeConfig, Glm4MoeForCausalLM

from benchmarks._timing import Bar, report, timed
from slurmkit.train.checkpoint import Checkpoints, Contents, Place, optimizer_tensors, rng_state
from slurmkit.train.control import Control
from slurmkit.train.distributed import distributed

RANKS = 4
ROUNDS = 5
R = 16
PARAMETERS, TENSORS = 31_653_888, 368
BASE_OF_A_LAYER = (4096, 4096)
"""Shape of the frozen bf16 weight of each layer: 1.5 GB in all, 1/138 of the true base."""
_TCP_BYTES_RECEIVED = 128  # the place of tcpi_bytes_received in struct tcp_info of linux/tcp.h

Save = Callable[[Path], object]


def shapes() -> dict[str, tuple[int, ...]]:
    """The names and shapes of the adapters, from transformers' and peft's own classes."""
    head: dict[str, Any] = {"head_dim": 128}  # the class's defaults are GLM-4.5-Air's other numbers
    config = Glm4MoeConfig(**head)
    lora = LoraConfig(r=R, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
    with torch.device("meta"):
        model = get_peft_model(Glm4MoeForCausalLM(config), lora, low_cpu_mem_usage=True)
    found = {name: tuple(each.shape) for name, each in get_peft_model_state_dict(model).items()}
    count = sum(torch.Size(shape).numel() for shape in found.values())
    assert (count, len(found)) == (PARAMETERS, TENSORS), (count, len(found))
    return found


class Ranks:
    """What one rank holds, and the ways to save it."""

    def __init__(self, directory: Path, control: Control, mesh: DeviceMesh) -> None:
        self.rank, self.mesh = control.rank, mesh
        self.syncing = 0.0
        tensors = {name: self._sharded(shape, torch.float32) for name, shape in shapes().items()}
        for layer in range(46):
            name = f"base_model.model.model.layers.{layer}.mlp.weight"
            tensors[name] = self._sharded(BASE_OF_A_LAYER, torch.bfloat16)
        self.module = _module(tensors)
        named = self.module.named_parameters()
        self.model: dict[str, Tensor] = {name: each for name, each in named if each.requires_grad}
        self.optimizer = torch.optim.AdamW(self.model.values())
        place = Place(control.rank, control.world_size)
        self.checkpoints = Checkpoints(directory / "ours", control, place, when_failed="stop")

    def lite(self, _: Path) -> object:
        """Our save of the adapters."""
        return self.checkpoints.save(1, Contents(self.model))

    def full(self, _: Path) -> object:
        """Our save of the adapters, AdamW's state and what else a job continues from."""
        optimizer = optimizer_tensors(self.model, self.optimizer)
        return self.checkpoints.save(
            1, Contents(self.model, optimizer, {"position": 0}, rng_state())
        )

    def gather_lora(self, place: Path) -> None:
        """Gather the adapters, tensor by tensor; rank 0 keeps and saves them."""
        whole: dict[str, Tensor] = {}
        for name, each in self.model.items():
            gathered = each.full_tensor()  # type: ignore[attr-defined]
            if self.rank == 0:
                whole[name] = gathered
        self._save(whole, place)

    def gather_all(self, place: Path) -> None:
        """Gather the model as accelerate and others do; rank 0 drops the base, saves the rest."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        whole = get_model_state_dict(self.module, options=options)
        lora = {n: each for n, each in whole.items() if isinstance(each, Tensor) and "lora_" in n}
        self._save(lora, place)

    def dcp(self, place: Path) -> object:
        """Save, with torch's own sharded checkpoint, the adapters and AdamW's state."""
        tensors = self.model | optimizer_tensors(self.model, self.optimizer)
        return state_dict_saver.save(tensors, checkpoint_id=place)

    def _save(self, tensors: dict[str, Tensor], place: Path) -> None:
        """Save what was gathered, on the rank that has it."""
        if not tensors:
            return
        assert len(tensors) == TENSORS
        path = place / "adapter_model.safetensors"
        save_file(tensors, path)
        with path.open("rb+") as file:
            self.syncing, _ = timed(os.fsync, file.fileno())

    def _sharded(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        local = torch.randn(shape[0] // RANKS, *shape[1:], dtype=dtype)
        return DTensor.from_local(local, self.mesh, [Replicate(), Shard(0)], run_check=False)


def _module(tensors: dict[str, Tensor]) -> nn.Module:
    """A module whose state dict is these tensors."""
    root = nn.Module()
    for name, tensor in tensors.items():
        *path, last = name.split(".")
        place = root
        for part in path:
            if part not in dict(place.named_children()):
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        place.register_parameter(last, nn.Parameter(tensor, requires_grad="lora_" in name))
    return root


def received() -> int:
    """The bytes that came over all TCP connections of this process, as the kernel counts them."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            if not str(link.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(link.name))) as connection:
                told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        except OSError:  # gone again, or no TCP
            continue
        count += struct.unpack_from("Q", told, _TCP_BYTES_RECEIVED)[0]
    return count


def measure(directory: Path) -> dict[str, dict[str, list[float]]]:
    """Let all ranks save in every way, in turns; gives seconds and bytes of each."""
    found: dict[str, dict[str, list[float]]] = {}
    with distributed(timeout=timedelta(minutes=5)):
        control = Control()
        mesh = init_device_mesh("cpu", (1, RANKS), mesh_dim_names=("replicate", "shard"))
        ranks = Ranks(directory, control, mesh)
        ways = (ranks.lite, ranks.gather_lora, ranks.gather_all, ranks.full, ranks.dcp)
        for round_ in range(-1, ROUNDS):
            for way in ways:
                row = found.setdefault(way.__name__, {"seconds": [], "syncing": [], "bytes": []})
                ranks.syncing = 0.0
                seconds, count = _timed(way, directory / way.__name__, control)
                if round_ >= 0:  # the first warms up
                    row["seconds"].append(seconds)
                    row["syncing"].append(ranks.syncing)
                    row["bytes"].append(count)
        del ranks, ways, way
    return found


def _timed(way: Save, place: Path, control: Control) -> tuple[float, float]:
    """How long all ranks take to save, and how many bytes came to all of them."""
    if control.rank == 0:
        place.mkdir()
        os.sync()  # what another way has left to write is not this one's
    control.barrier()
    before, start = received(), time.perf_counter()
    way(place)
    moved = received() - before
    control.barrier()
    seconds = time.perf_counter() - start
    if control.rank == 0:
        shutil.rmtree(place)
        shutil.rmtree(place.with_name("ours") / "checkpoint-1", ignore_errors=True)
    return seconds, control.sum([moved])[0]


def bars(found: dict[str, dict[str, list[float]]]) -> list[Bar]:
    """The ratios, each the median over the rounds."""

    def race(ours: str, other: str, what: str, limit: float) -> Bar:
        a, b, syncing = found[ours]["seconds"], found[other]["seconds"], found[other]["syncing"]
        ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
        without = statistics.median(x / (y - z) for x, y, z in zip(a, b, syncing, strict=True))
        times = f"{statistics.median(a):.3f} s by {statistics.median(b):.3f} s"
        detail = f"{1 / ratio:.1f} times as fast: {times}, medians of {len(a)} rounds"
        if any(syncing):
            detail += f"; {1 / without:.1f} times, without fsync of what was gathered"
        return Bar(what, ratio, limit, "x", detail)

    sent = {way: max(row["bytes"]) / 1000 for way, row in found.items()}
    others = ", ".join(f"{way} {count:,.1f}" for way, count in sent.items())
    return [
        race("lite", "gather_lora", "shards / gathering the LoRA", 0.142),  # 1/7
        race("lite", "gather_all", "shards / gathering all (base 1/138 of the true)", 0.05),
        race("full", "dcp", "full save / torch.distributed.checkpoint", 0.25),
        Bar("bytes between all ranks in a save by shards", sent["lite"], 10, " kB", others),
    ]


def main() -> int:
    """Starts the ranks, and tells the bars."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=place, prefix="slurmkit-bench-") as name:
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        environment |= {"PYTHONPATH": str(Path(__file__).parents[1]), "CUDA_VISIBLE_DEVICES": ""}
        command = [
            *(sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={RANKS}"),
            *("--master-addr=127.0.0.1", "--master-port=14321", "--local-addr=127.0.0.1"),
            *(__file__, "--rank", name),
        ]
        subprocess.run(command, env=environment, check=True)
        return report(bars(json.loads((Path(name) / "found.json").read_text(encoding="utf-8"))))


def rank(directory: Path) -> None:
    """What each of the ranks does."""
    found = measure(directory)
    if os.environ["RANK"] == "0":
        (directory / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rank"]:
        rank(Path(sys.argv[2]))
    else:
        sys.exit(main())
