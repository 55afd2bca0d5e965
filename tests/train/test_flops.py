"""FLOP a token, from the model: known cases, and against torch's own counter."""

from __future__ import annotations

import re
from typing import Any

import peft
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    Glm4MoeConfig,
    GptOssConfig,
    LlamaConfig,
    MixtralConfig,
    Qwen3MoeConfig,
)

from slurmkit.train.finetune.data.batch import Sample, collate, pack_samples
from slurmkit.train.flops import Flops, squares
from slurmkit.train.gpus import peak_tflops

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]
SMALL: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
MIXTURE: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT: dict[str, Any] = {
    **{"num_key_value_heads": 4, "head_dim": 4, "q_lora_rank": 8, "kv_lora_rank": 8},
    **{"qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 6},
    **{"n_routed_experts": 4, "n_group": 2, "topk_group": 2, "first_k_dense_replace": 1},
}


def small(kind: Any, **fields: Any) -> Any:
    return kind(**{**SMALL, **fields})


def mixtures() -> list[Any]:
    """A small config of each kind of mixture of experts."""
    return [
        small(MixtralConfig, num_local_experts=4, num_experts_per_tok=2),
        small(Qwen3MoeConfig, **MIXTURE, num_experts=4),
        small(Glm4MoeConfig, **MIXTURE, n_routed_experts=4, first_k_dense_replace=1),
        small(GptOssConfig, num_local_experts=4, num_experts_per_tok=2),
        small(DeepseekV3Config, **MIXTURE, **LATENT),
    ]


def causal_lm(config: Any) -> Any:
    torch.manual_seed(0)
    made: Any = AutoModelForCausalLM
    return made.from_config(config)


def glm_air() -> Any:
    """GLM-4.5-Air: the defaults of its class and the width of its heads; without memory."""
    kind: Any = Glm4MoeConfig
    with torch.device("meta"):
        return causal_lm(kind(head_dim=128))


def with_lora(model: Any, rank: int = 16) -> Any:
    return peft.get_peft_model(model, peft.LoraConfig(r=rank, target_modules=TARGETS))


def test_glm_air_at_16k() -> None:
    model = glm_air()
    full = Flops.count(model)  # everything is trained
    lora = Flops.count(with_lora(model))
    adapters = sum(each.numel() for each in model.parameters() if each.requires_grad)
    assert adapters == pytest.approx(31.65e6, rel=1e-3)
    base = lora.per_token(16384) - 6 * adapters
    assert base / 1e9 == pytest.approx(106.8, abs=0.05)
    assert lora.per_token(16384) / 1e9 == pytest.approx(107.0, abs=0.05)
    assert full.weights == 1.5 * (lora.weights - 6 * adapters)

    # The usual formula: 6N, and attention as if every token saw every other one.
    usual = full.weights + 2 * full.attention * 16384
    assert usual / base == pytest.approx(1.76, abs=0.005)


def counted(model: Any, length: int) -> float:
    """FLOP a token by torch's counter: whole attention, each expert for the tokens it has."""
    tokens = torch.randint(0, 96, (1, length))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    return float(counter.get_total_flops()) / length


@pytest.mark.parametrize(
    "config",
    [
        small(LlamaConfig),
        small(LlamaConfig, tie_word_embeddings=True),
        *mixtures(),
    ],
    ids=lambda config: config.model_type,
)
def test_weights_are_counted_as_torch_counts_them(config: Any) -> None:
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model = causal_lm(config)
    flops = Flops.count(model)
    # torch counts T x T pairs. Its gradient of the embedding costs nothing, as here.
    expected = flops.weights + 2 * flops.attention * 64
    assert counted(model, 64) == pytest.approx(expected, rel=0.01)


def test_lora_costs_two_thirds_of_full_training_and_its_own() -> None:
    config = small(LlamaConfig, num_hidden_layers=6)
    config._attn_implementation = "eager"
    model = with_lora(causal_lm(config), rank=4)
    flops = Flops.count(model)
    matrices = [each for each in model.named_parameters() if each[1].ndim == 2]
    # The first layer's input needs no gradient: what reads it costs 2N less.
    readers = re.compile(r"\.layers\.0\..*\.[qkv]_proj\.(base_layer|lora_A)\.")
    first = sum(2 * matrix.numel() for name, matrix in matrices if readers.search(name))
    expected = flops.weights + 2 * flops.attention * 64 - first
    assert counted(model, 64) == pytest.approx(expected, rel=0.01)
    trained = sum(matrix.numel() for _, matrix in matrices if matrix.requires_grad)
    every = sum(matrix.numel() for name, matrix in matrices if "embed" not in name)
    assert flops.weights == 4 * every + 2 * trained


@pytest.mark.parametrize("packed", [False, True])
def test_attention_is_paid_by_the_document(packed: bool) -> None:
    lengths = (3, 5, 1)
    documents = [Sample([1] * length, [1] * length, None) for length in lengths]
    batch = collate([pack_samples(documents), None] if packed else [*documents, None], 0)
    assert int(squares(batch.valid, batch.position_ids)) == 9 + 25 + 1
    flops = Flops(weights=10.0, attention=2.0)
    assert flops.of(9, 35) == sum(length * flops.per_token(length) for length in lengths)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989.4),
        ("NVIDIA H200 NVL", 835.5),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA GH200 480GB", 989.4),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA A100 80GB PCIe", 312.0),
        ("NVIDIA A10", 125.0),
        ("NVIDIA H20", 148.0),
        ("NVIDIA L40S", 362.05),
        ("NVIDIA B200", 2250.0),
        ("NVIDIA GB200", 2500.0),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("Tesla V100-SXM2-32GB", None),
        ("AMD Instinct MI300X", None),
        ("", None),
    ],
)
def test_peak_by_the_name_of_the_gpu(name: str, peak: float | None) -> None:
    assert peak_tflops(name) == peak
