"""The model as it trains: read from disk in slices, sharded, with adapters, checked."""

from __future__ import annotations

import copy
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch.distributed.device_mesh import init_device_mesh
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.distributed.configuration_utils import DistributedConfig
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING
from transformers.utils import logging as transformers_logging

from slurmkit.train.checkpoint import Place
from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune import adapter, checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peft import PeftModel
    from torch import nn
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor

    from slurmkit.train.control import Control
    from slurmkit.train.distributed import World
    from slurmkit.train.finetune.config import FinetuneConfig, ModelConfig, ParallelismConfig


@dataclass(frozen=True)
class Built:
    """A model that is ready to train, and how it lies on the ranks."""

    model: PeftModel
    """In training mode; only the adapters have gradients. Give it to `loss.summed`."""
    mesh: DeviceMesh
    """All ranks, as `replicate` times `shard`."""
    place: Place
    """Which piece of it this rank holds."""
    trainable: dict[str, DTensor]
    """The adapters' parameters, float32, by the names under which peft saves them."""

    def adapter_config(self) -> bytes:
        """Return adapter_config.json, with which peft loads the adapter."""
        config = copy.copy(self.model.peft_config["default"])
        config.inference_mode = True
        with tempfile.TemporaryDirectory() as directory:
            config.save_pretrained(directory)
            return Path(directory, "adapter_config.json").read_bytes()


def build(config: FinetuneConfig, world: World, control: Control) -> Built:
    """Read the model, each rank its own slices, and put sharded adapters on it.

    Leaves torch's random numbers, from which dropout draws, seeded differently on each rank.

    Args:
        config: which model, which adapters, how many shards and replicas.
        world: this process's place; torch's process group is there.
        control: for what all ranks agree on.

    Raises:
        ConfigError: the model is not there or not of the right kind, a target module does not
            exist, or shards times replicas is not the number of ranks.
    """
    replicas, shards = mesh_shape(config.parallelism, world, control)
    name = checked_name(config.model.name_or_path)
    mesh = init_device_mesh(
        world.device.type, (replicas, shards), mesh_dim_names=("replicate", "shard")
    )
    causal = _read(name, config.model, mesh, world.device)
    checks.loaded(causal)
    model = adapter.attach(causal, config.lora, config.training.seed, name)
    adapter.shard(model, mesh, causal.dtype)
    place = Place(mesh.get_local_rank("shard"), shards, mesh.get_local_rank("replicate"), replicas)
    built = Built(model, mesh, place, adapter.trainable(model))
    checks.adapters(model, built.trainable, place, control)
    _set_up(causal, config.model)
    model.train()
    torch.manual_seed(config.training.seed + 1 + world.rank)
    return built


def mesh_shape(config: ParallelismConfig, world: World, control: Control) -> tuple[int, int]:
    """Return (replicas, shards). Unless told otherwise, a node holds one copy of the model.

    Sharding sends the whole model to every rank, three times a step; that is for the fast links
    within a node. Replicas exchange gradients of the adapters alone.

    Raises:
        ConfigError: they do not make up the number of ranks.
    """
    if config.shard is None and config.replicas is None:
        nodes = {int(row[0]) for row in control.rows([world.local_world_size])}
        if len(nodes) > 1:
            raise ConfigError(
                f"`parallelism`: the nodes have different numbers of ranks ({sorted(nodes)}), and "
                "cannot each hold a copy of the model: set `parallelism.shard: "
                f"{world.world_size}`, or run equally many on each node"
            )
    try:
        return config.mesh(world.world_size, world.local_world_size)
    except ValueError as error:
        raise ConfigError(f"`parallelism`: {error}") from error


def checked_name(name: str) -> str:
    """Return the model's directory or hub name, if transformers can read a causal LM there."""
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ConfigError(
                f"`model.name_or_path: {name}`: the directory has no config.json: give the one "
                "that holds it and the *.safetensors"
            )
        name = str(path)
    elif name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise ConfigError(
            f"`model.name_or_path: {name}`: there is no such directory on this node: see whether "
            "its file system is mounted here"
        )
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ConfigError(f"`model.name_or_path: {name}`: {error}") from error
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ConfigError(
            f"`model.name_or_path: {name}`: a {config.model_type} is no causal language model of "
            "this transformers: give one that has a `…ForCausalLM`"
        )
    return name


def _read(name: str, config: ModelConfig, mesh: DeviceMesh, device: torch.device) -> Any:
    """Return the model with its weights, frozen; with more than one shard under FSDP.

    transformers shards the empty model first, then reads: no rank holds more than its slices, and
    what has to stay in float32 (rotary frequencies, a router's correction) does.
    """
    replicas, shards = mesh.shape
    settings: dict[str, Any] = {
        "attn_implementation": config.attn_implementation,
        "experts_implementation": config.experts_implementation,
    }
    settings = {key: value for key, value in settings.items() if value is not None}
    if shards > 1:
        settings["distributed_config"] = DistributedConfig(
            fsdp_size=shards, dp_replicate_size=replicas
        )
    elif device.type != "cpu":
        settings["device_map"] = device
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with _local_rank(device):
            read: Any = AutoModelForCausalLM.from_pretrained(
                name, dtype=getattr(torch, config.dtype), output_loading_info=True, **settings
            )
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(f"`model.name_or_path: {name}`: {error}") from error
    model, info = read
    if missing := sorted(info["missing_keys"]):
        raise ConfigError(
            f"`model.name_or_path: {name}`: the files lack {len(missing)} of the model's weights, "
            f"{missing[0]} among them, and they would be random: see whether the download is whole"
        )
    return model.requires_grad_(False)


@contextmanager
def _local_rank(device: torch.device) -> Iterator[None]:
    """Have transformers take this rank's GPU: it goes by LOCAL_RANK, also where a task sees one."""
    if device.index is None:
        yield
        return
    with patch.dict(os.environ, LOCAL_RANK=str(device.index)):
        yield


def _set_up(causal: Any, config: ModelConfig) -> None:
    causal.config.use_cache = False
    if config.activation_checkpointing:
        old = "gradient_checkpointing_enable"  # its name in older versions of transformers
        enable = getattr(causal, "activation_checkpointing_enable", None) or getattr(causal, old)
        enable({"use_reentrant": False})
    if config.compile:
        # Not whole layers: FSDP's hooks around the adapters would break their graphs, and within
        # a recomputed layer a broken graph is not compiled at all, without a word.
        for part in [part for layer in _decoder_layers(causal) for part in layer.children()]:
            part.forward = torch.compile(part.forward)


def _decoder_layers(causal: nn.Module) -> list[Any]:
    layers = [each for each in causal.modules() if isinstance(each, GradientCheckpointingLayer)]
    if not layers:
        raise ConfigError(
            f"`model.compile`: no decoder layers to be found in {type(causal).__name__}: unset it"
        )
    return layers
