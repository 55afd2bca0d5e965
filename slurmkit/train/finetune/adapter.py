"""LoRA adapters on a model that may be sharded already, and their own sharding."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model
from peft.tuners.lora import layer as peft_layer
from torch import nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from slurmkit.train.config_file import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.distributed.device_mesh import DeviceMesh

    from slurmkit.train.finetune.config import LoraConfig


def attach(causal: nn.Module, config: LoraConfig, seed: int, name: str) -> PeftModel:
    """Put LoRA on the target modules: float32, whole on every rank, the same by the same seed.

    Args:
        causal: the model, sharded or not.
        config: what to adapt, and how.
        seed: of the random start; torch's random numbers are seeded with it.
        name: directory or hub name of the model, for adapter_config.json.

    Raises:
        ConfigError: a target names nothing, or no linear module.
    """
    check_targets(causal, config.target_modules)
    peft_config = PeftLoraConfig(
        task_type="CAUSAL_LM",
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(config.target_modules),
        base_model_name_or_path=name,
    )
    torch.manual_seed(seed)
    with _whole_shapes(), warnings.catch_warnings():
        # peft asks transformers by a name that is going out of use
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        model = get_peft_model(causal, peft_config)
    model.peft_config["default"].base_model_name_or_path = name
    return model


def shard(model: PeftModel, mesh: DeviceMesh, dtype: torch.dtype) -> None:
    """Shard the adapters, so that their gradients are averaged over the ranks of the mesh.

    peft's weights know nothing of FSDP: left as they are, each rank trains its own, without an
    error. The modules that hold targets (a layer's attention, say) become FSDP modules around
    the adapters alone. Forward and backward compute in `dtype`; the weights, their gradients'
    sums and the optimizer stay in float32. The whole model becomes the root of all.
    """
    causal = model.get_base_model()
    frozen = {parameter for parameter in model.parameters() if not parameter.requires_grad}
    policy = MixedPrecisionPolicy(
        param_dtype=None if dtype == torch.float32 else dtype,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,
    )
    for parent in _parents(causal):
        fully_shard(parent, mesh=mesh, mp_policy=policy, ignored_params=frozen)
    if not isinstance(causal, FSDPModule):
        frozen.update(causal.parameters())
        fully_shard(causal, mesh=mesh, ignored_params=frozen)


def trainable(model: Any) -> dict[str, DTensor]:
    """Return the adapter's parameters by the names under which peft saves them.

    The parameters themselves: what is written into them trains on. peft's own function would
    gather each of them from all ranks, where transformers has sharded the model.
    """
    return {
        name.replace(".default.weight", ".weight"): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def check_targets(causal: nn.Module, targets: tuple[str, ...]) -> None:
    """Refuse targets that would be passed over in silence.

    Raises:
        ConfigError: names those that match no linear module, and what there is.
    """
    linear = {name for name, module in causal.named_modules() if _is_linear(module)}
    experts = {name for name, parameter in causal.named_parameters() if parameter.ndim == 3}
    for target in targets:
        of_experts = any(_ends(name, target) or f".{target}." in name for name in experts)
        found = any(_ends(name, target) for name in linear)
        if of_experts and found:
            warnings.warn(
                f"`lora.target_modules`: {target} adapts the linear modules of that name, but not "
                "the routed experts, whose weights are no modules",
                stacklevel=2,
            )
        if found:
            continue
        why = "names routed experts, which LoRA cannot reach" if of_experts else "names nothing"
        known = sorted({name.rpartition(".")[2] for name in linear})
        raise ConfigError(
            f"`lora.target_modules`: {target} {why} in this {type(causal).__name__}: use some of "
            + ", ".join(known)
        )


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"  # GPT-2's


def _parents(causal: nn.Module) -> list[nn.Module]:
    """Return the modules whose direct children have adapters, inner ones first."""
    names = {
        name.rpartition(".")[0]
        for name, module in causal.named_modules()
        if isinstance(module, peft_layer.LoraLayer)
    }
    return [causal.get_submodule(name) for name in sorted(names, key=_depth, reverse=True) if name]


def _depth(name: str) -> tuple[int, str]:
    return name.count("."), name


@contextmanager
def _whole_shapes() -> Iterator[None]:
    """Have peft take the shapes of linear modules from the modules.

    On a 2-D mesh peft (0.18 to 0.21.2 at least) takes a weight sharded by FSDP for one cut by
    tensor parallelism, and makes adapters of the shard's shape. A test fails when that is mended.
    """
    name = "_get_in_out_features"
    inferred = getattr(peft_layer, name, None)
    if inferred is None:  # another peft; `checks.adapters` looks at the shapes
        yield
        return

    def shape(module: nn.Module) -> Any:
        if isinstance(module, nn.Linear):
            return module.in_features, module.out_features
        return inferred(module)

    setattr(peft_layer, name, shape)
    try:
        yield
    finally:
        setattr(peft_layer, name, inferred)
