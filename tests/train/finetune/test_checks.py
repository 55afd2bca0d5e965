"""Each silent fault, made on purpose, is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft.tuners.lora import layer as peft_layer
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM

from slurmkit.train.config_file import ConfigError
from slurmkit.train.control import Control
from slurmkit.train.distributed import World
from slurmkit.train.finetune import adapter, checks, tiny
from slurmkit.train.finetune.config import LoraConfig
from slurmkit.train.finetune.model import build
from tests.train import world
from tests.train.finetune.truth import Case, config


@pytest.fixture(scope="module")
def glm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model("glm4_moe", tmp_path_factory.mktemp("models"))


def _read(path: Path, dtype: torch.dtype = torch.bfloat16) -> Any:
    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype)


def test_a_model_read_by_from_pretrained_is_whole(glm: Path) -> None:
    checks.loaded(_read(glm))


def test_a_cast_of_the_whole_model_is_noticed(glm: Path) -> None:
    with pytest.raises(AssertionError, match=r"has to be float32: load with from_pretrained"):
        checks.loaded(_read(glm, torch.float32).to(torch.bfloat16))
    model = _read(glm)
    gate = model.model.layers[1].mlp.gate
    gate.e_score_correction_bias = gate.e_score_correction_bias.bfloat16()
    with pytest.raises(AssertionError, match=r"e_score_correction_bias is torch\.bfloat16"):
        checks.loaded(model)


def test_what_was_never_read_is_noticed(glm: Path) -> None:
    model, make = _read(glm), cast("Any", AutoModelForCausalLM.from_config)
    with torch.device("meta"):
        empty = make(model.config)
    with pytest.raises(AssertionError, match="is on the meta device"):
        checks.loaded(empty)
    model.model.rotary_emb.inv_freq.fill_(float("nan"))
    with pytest.raises(AssertionError, match="holds garbage"):
        checks.loaded(model)
    model.model.rotary_emb.inv_freq.fill_(0.5)
    with pytest.raises(AssertionError, match="inv_freq is not what the model's config says"):
        checks.loaded(model)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("q_proj", "query"), "query names nothing in this Glm4MoeForCausalLM: use some of"),
        (("gate_up_proj",), "gate_up_proj names routed experts, which LoRA cannot reach"),
        (("experts",), "experts names routed experts"),
    ],
)
def test_targets_that_reach_nothing_are_refused(
    glm: Path, targets: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        adapter.attach(_read(glm), LoraConfig(target_modules=targets), 1, str(glm))
    assert "k_proj" in str(caught.value)


def test_a_target_that_leaves_experts_out_says_so(glm: Path) -> None:
    with pytest.warns(UserWarning, match="down_proj adapts the linear modules of that name, but"):
        adapter.check_targets(_read(glm), ("down_proj",))


def _unsynchronised(here: World, path: Path) -> dict[str, str]:
    """Make each fault of adapters on two ranks; return what the check said."""
    said, control = {}, Control()
    real = adapter.shard
    for shape in ((1, 2), (2, 1)):
        adapter.shard = lambda *_: None
        try:
            build(config(Case(path, *shape)), here, control)
        except AssertionError as error:
            said[f"plain {shape}"] = str(error)
        finally:
            adapter.shard = real
    built = build(config(Case(path, 2, 1)), here, control)
    some = next(iter(built.trainable.values()))
    with torch.no_grad():
        some.to_local().add_(here.rank * 1e-6)
    said["different"] = _said(built.model, built.trainable, built.place, control)
    with torch.no_grad():
        some.to_local().zero_()
    said["equal"] = _said(built.model, built.trainable, built.place, control)
    cast("Any", built.model.get_base_model()).lm_head.weight.requires_grad_(True)
    said["base"] = _said(built.model, built.trainable, built.place, control)
    return said


def _said(*arguments: Any) -> str:
    try:
        checks.adapters(*arguments)
    except AssertionError as error:
        return str(error)
    return ""


def test_unsynchronised_adapters_are_noticed(glm: Path) -> None:
    for said in world.run(2, _unsynchronised, glm):
        assert "each rank would train its own copy" in said["plain (1, 2)"]
        assert "each rank would train its own copy" in said["plain (2, 1)"]
        assert "the replicas hold different adapters" in said["different"]
        assert said["equal"] == ""
        assert "is trained, and is no adapter" in said["base"]


def _inferred(here: World) -> tuple[Any, Any]:
    mesh = init_device_mesh("cpu", (1, 2), mesh_dim_names=("dp_replicate", "fsdp"))
    linear, layer = torch.nn.Linear(6, 8, bias=False), cast("Any", peft_layer)
    fully_shard(linear, mesh=mesh)
    alone = layer._get_in_out_features(linear)
    with adapter._whole_shapes():
        return alone, layer._get_in_out_features(linear)


def test_peft_still_takes_a_shards_shape_for_the_whole() -> None:
    """When this fails, peft is mended: delete `adapter._whole_shapes` and require that peft."""
    for alone, cured in world.run(2, _inferred):
        assert alone == (6, 4)
        assert cured == (6, 8)
