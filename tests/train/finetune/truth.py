"""The same gradients twice: by plain transformers in one process, and by the parts of the job."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from slurmkit.train.config_file import check_config
from slurmkit.train.control import Control
from slurmkit.train.distributed import World
from slurmkit.train.finetune.config import FinetuneConfig
from slurmkit.train.finetune.data.batch import Sample, collate
from slurmkit.train.finetune.model import build
from slurmkit.train.finetune.optimizer import adamw, clip
from slurmkit.train.loss import summed

Arrays = dict[str, NDArray[Any]]
TARGETS = ("q_proj", "v_proj", "o_proj", "down_proj")
"""The last of them ends a layer: recomputing it for the backward pass stops within it."""
CLIP = 0.5


@dataclass(frozen=True)
class Case:
    """One way to compute the same."""

    model: Path
    replicas: int = 1
    shards: int = 1
    chunk: int = 7
    settings: dict[str, Any] = field(default_factory=dict)
    """Of `model`, in the config."""


@dataclass(frozen=True)
class Found:
    """What it gave; arrays, for tensors do not go through the ranks' pipes."""

    loss: float
    norm: float
    gradients: Arrays
    weights: Arrays
    """After a clipped step of AdamW."""


def samples() -> list[Sample | None]:
    """Eight, of uneven lengths and masks; one has no label, one is padding only."""
    generator = torch.Generator().manual_seed(3)
    made: list[Sample | None] = []
    for number in range(8):
        ids = torch.randint(10, 300, (20 - number,), generator=generator).tolist()
        prompt = len(ids) if number == 3 else number
        made.append(Sample(ids, [-100] * prompt + ids[prompt:], None))
    made[5] = None
    return made


def config(case: Case, **parts: Any) -> FinetuneConfig:
    """A config of the case, float32 unless told otherwise."""
    return check_config(
        FinetuneConfig,
        {
            "model": {"name_or_path": str(case.model), "dtype": "float32", **case.settings},
            "data": {"dataset_path": "unused"},
            "training": {"learning_rate": 1e-3},
            "lora": {"r": 3, "lora_alpha": 6, "target_modules": TARGETS},
            "parallelism": {"replicas": case.replicas, "shard": case.shards},
            **parts,
        },
    )


def fill(parameters: dict[str, Any]) -> None:
    """Give the adapters values that are a function of their names' order, B not zero."""
    for number, (_, parameter) in enumerate(sorted(parameters.items())):
        generator = torch.Generator().manual_seed(number)
        whole = torch.randn(parameter.shape, generator=generator) / parameter.shape[1] ** 0.5
        if isinstance(parameter, DTensor):
            mesh = parameter.device_mesh
            whole = distribute_tensor(whole, mesh, parameter.placements, src_data_rank=None)
        with torch.no_grad():
            parameter.copy_(whole)


def plain(model: Path) -> Found:
    """One process, sample by sample, by the model's own logits; no part of slurmkit."""
    causal = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    lora = LoraConfig(r=3, lora_alpha=6, target_modules=list(TARGETS), task_type="CAUSAL_LM")
    peft = get_peft_model(causal, lora)
    trained = {
        name.replace(".default", ""): each
        for name, each in peft.named_parameters()
        if each.requires_grad
    }
    fill(trained)
    losses = []
    for sample in filter(None, samples()):
        logits = peft(input_ids=torch.tensor([sample.input_ids])).logits[0, :-1]
        labels = torch.tensor(sample.labels[1:])
        losses.append(cross_entropy(logits, labels, reduction="none")[labels != -100])
    loss = torch.cat(losses).mean()
    torch.autograd.backward(loss)
    gradients = {name: cast("Any", each.grad).numpy().copy() for name, each in trained.items()}
    norm = torch.nn.utils.clip_grad_norm_(trained.values(), CLIP)
    torch.optim.AdamW(trained.values(), lr=1e-3, weight_decay=0.0).step()
    weights = {name: each.detach().numpy() for name, each in trained.items()}
    return Found(float(loss.detach()), float(norm), gradients, weights)


def parts(world: World, cases: list[Case]) -> list[Found]:
    """The job's parts on this rank: its share of the samples, two at a time."""
    return [_parts(world, case) for case in cases]


def _parts(world: World, case: Case) -> Found:
    checked, control = config(case), Control()
    built = build(checked, world, control)
    fill(built.trainable)
    share = len(samples()) // world.world_size
    mine = samples()[world.rank * share : (world.rank + 1) * share]
    batches = [collate(mine[first : first + 2], 1) for first in range(0, share, 2)]
    (tokens,) = control.sum([sum(batch.tokens for batch in batches)])
    loss = 0.0
    for number, batch in enumerate(batches):
        for module in built.model.modules():
            if isinstance(module, FSDPModule):
                module.set_requires_gradient_sync(number == len(batches) - 1, recurse=False)
        found = summed(built.model, batch, case.chunk)
        torch.autograd.backward(found * (world.world_size / tokens))
        loss += float(found.detach())
    gradients = _whole({name: each.grad for name, each in built.trainable.items()})
    norm = clip(built.trainable.values(), CLIP)
    adamw(built.trainable.values(), checked.training).step()
    return Found(control.sum([loss / tokens])[0], float(norm), gradients, _whole(built.trainable))


def _whole(tensors: dict[str, Any]) -> Arrays:
    return {name: each.detach().full_tensor().numpy().copy() for name, each in tensors.items()}
