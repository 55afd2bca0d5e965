"""Expert usage: exact counts of what the experts were given, on real models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import (
    Glm4MoeConfig,
    Llama4TextConfig,
    LlamaConfig,
)

from slurmkit.train.control import Control
from slurmkit.train.experts import ExpertUsage, usage
from tests.train.test_flops import MIXTURE, causal_lm, mixtures, small, with_lora

VALID = torch.ones(2, 12, dtype=torch.bool)
VALID[1, 7:] = False


def glm(**fields: Any) -> Any:
    """A dense layer and two with experts, whose biases decide more than their logits."""
    shape = {"num_hidden_layers": 3, "n_routed_experts": 8, "first_k_dense_replace": 1}
    model = causal_lm(small(Glm4MoeConfig, **MIXTURE, **shape, **fields))
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            torch.nn.init.normal_(buffer, std=1.0)
    return model


class Watched:
    """What each layer's experts were given in the first forward since `clear`."""

    def __init__(self, model: Any) -> None:
        self.given: dict[int, torch.Tensor] = {}
        for number, layer in enumerate(model.model.layers):
            if hasattr(layer.mlp, "experts"):
                layer.mlp.experts.register_forward_pre_hook(self._note(number))

    def _note(self, layer: int) -> Any:
        def note(_: Any, args: Any) -> None:
            self.given.setdefault(layer, args[1].detach().clone())

        return note

    def counts(self, valid: torch.Tensor, experts: int) -> dict[int, list[int]]:
        return {
            layer: torch.bincount(chosen[valid.flatten()].flatten(), minlength=experts).tolist()
            for layer, chosen in self.given.items()
        }


def forward(model: Any, valid: torch.Tensor = VALID) -> torch.Tensor:
    tokens = torch.randint(0, 96, tuple(valid.shape))
    loss: torch.Tensor = model(input_ids=tokens, labels=tokens, use_cache=False).loss
    return loss


@pytest.mark.parametrize("config", mixtures(), ids=lambda config: config.model_type)
def test_counts_are_what_the_experts_were_given(config: Any) -> None:
    model = causal_lm(config)
    watched = Watched(model)
    counters = ExpertUsage.of(model)
    assert counters is not None
    with counters.counting(VALID):
        forward(model)
    row = counters.read(Control())
    assert row["tokens"] == 19
    counts = watched.counts(VALID, 4)
    assert counts
    assert {layer["layer"]: layer["counts"] for layer in row["layers"]} == counts


@pytest.mark.parametrize("reentrant", [False, True])
def test_exact_with_lora_checkpointing_accumulation_and_evaluations(reentrant: bool) -> None:
    model = with_lora(glm()).train()
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    model.enable_input_require_grads()
    watched = Watched(model.get_base_model())
    counters = ExpertUsage.of(model)
    assert counters is not None
    expected = {1: torch.zeros(8), 2: torch.zeros(8)}
    for valid in (VALID, torch.ones(1, 9, dtype=torch.bool), torch.zeros_like(VALID)):
        watched.given.clear()
        with counters.counting(valid):
            loss = forward(model, valid)
        for layer, counts in watched.counts(valid, 8).items():
            expected[layer] += torch.tensor(counts)
        loss.backward()  # type: ignore[no-untyped-call]
        model.eval()
        forward(model, VALID)  # of the same shape, and not of the training
        model.train()
    row = counters.read(Control())
    assert row["tokens"] == 19 + 9
    assert [layer["layer"] for layer in row["layers"]] == [1, 2]  # layer 0 is dense
    assert [layer["counts"] for layer in row["layers"]] == [
        each.int().tolist() for each in expected.values()
    ]
    assert counters.read(Control())["tokens"] == 0  # each choice is told once


def test_what_is_counted_twice_is_noticed() -> None:
    model = glm().train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    counters = ExpertUsage.of(model)
    assert counters is not None
    with counters.counting(VALID):
        forward(model).backward()  # type: ignore[no-untyped-call]
    expected = "layer 1: Glm4MoeTopkRouter told 76 choices of experts for 19 tokens, instead of 2"
    with pytest.raises(ValueError, match=expected):
        counters.read(Control())


def test_a_router_that_tells_no_choices_is_named() -> None:
    shape = {"num_local_experts": 4, "interleave_moe_layer_step": 1, "intermediate_size_mlp": 48}
    model = causal_lm(small(Llama4TextConfig, **shape))
    counters = ExpertUsage.of(model)
    assert counters is not None
    with counters.counting(VALID):
        forward(model)
    with pytest.raises(ValueError, match=r"Llama4Router told 0 .* `logging.expert_usage: false`"):
        counters.read(Control())


def test_dense_models_have_no_usage() -> None:
    assert ExpertUsage.of(causal_lm(small(LlamaConfig))) is None


class Other(Control):
    """Adds what another rank has counted, and notes each reduction."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[Sequence[float]] = []

    def sum(self, numbers: Sequence[float]) -> list[float]:
        self.numbers.append(numbers)
        return [2.0 * number for number in numbers]


def test_one_reduction_sums_all_layers_over_the_ranks() -> None:
    model, control = glm(), Other()
    counters = ExpertUsage.of(model)
    assert counters is not None
    with counters.counting(VALID):
        forward(model)
    row = counters.read(control)
    (numbers,) = control.numbers
    assert len(numbers) == 1 + 2 * 8
    assert row["tokens"] == 2 * 19
    assert row["cv"] == pytest.approx(sum(layer["cv"] for layer in row["layers"]) / 2)
    assert row["dead_experts"] == sum(layer["counts"].count(0) for layer in row["layers"])


def test_figures_of_a_layer() -> None:
    assert usage([5, 5, 5, 5]) == {"cv": 0.0, "entropy": 1.0, "dead_experts": 0}
    assert usage([8, 0, 0, 0]) == {
        "cv": pytest.approx(math.sqrt(3)),
        "entropy": 0,
        "dead_experts": 3,
    }
    assert usage([4, 4, 0, 0])["entropy"] == 0.5
    assert math.isnan(usage([0, 0])["cv"])


@pytest.mark.proof
def test_exact_in_compiled_layers_without_a_break_in_their_graphs() -> None:
    from torch._dynamo.utils import counters as breaks

    model = glm().train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    counters = ExpertUsage.of(model)
    assert counters is not None
    for layer in model.model.layers:
        layer.compile()
    for _ in range(3):
        with counters.counting(VALID):
            loss = forward(model)
        loss.backward()  # type: ignore[no-untyped-call]
        assert counters.read(Control())["tokens"] == 19  # and each layer has told all choices
    assert not breaks["graph_break"]
