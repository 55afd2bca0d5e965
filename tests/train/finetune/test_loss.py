"""The summed loss, in chunks, of many kinds of models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from slurmkit.train import loss as module
from slurmkit.train.finetune.data.batch import Batch, Sample, collate
from slurmkit.train.loss import summed

SHAPE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "glm4_moe": {},
    "qwen3_moe": {},
    "mixtral": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "gpt_neox": {},
    "phi3": {},
    "gemma2": {"final_logit_softcapping": 2.0},
    "cohere": {"logit_scale": 0.3},
    "granite": {"logits_scaling": 4.0},
    "nanochat": {"final_logit_softcapping": 2.0},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
}


def _model(kind: str) -> Any:
    torch.manual_seed(0)
    known = AutoConfig.for_model(kind)
    shape = {name: value for name, value in SHAPE.items() if hasattr(known, name)}
    config = AutoConfig.for_model(kind, **shape | KINDS[kind])
    make: Any = AutoModelForCausalLM.from_config
    model = make(config, dtype=torch.float32).eval()
    model.get_output_embeddings().requires_grad_(False)
    return model


def _batch() -> Batch:
    ids = [*range(3, 23)]
    return collate([Sample(ids, [-100] * 5 + ids[5:], None), Sample(ids[:9], ids[:9], None)], 0)


def _gradient(model: Any, batch: Batch, chunk: int) -> tuple[float, Tensor]:
    model.zero_grad()
    found = summed(model, batch, chunk)
    assert found.dtype == torch.float32
    (found / 7).backward()  # type: ignore[no-untyped-call]
    gradients = [each.grad.flatten() for each in model.parameters() if each.grad is not None]
    return float(found.detach()), torch.cat(gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_give_the_models_own_loss_and_gradient(kind: str) -> None:
    model, batch = _model(kind), _batch()
    loss, gradient = _gradient(model, batch, 0)
    logits = model(input_ids=batch.input_ids).logits[:, :-1].transpose(1, 2)
    truth = torch.nn.functional.cross_entropy(logits, batch.labels[:, 1:], reduction="sum")
    assert loss == pytest.approx(float(truth), rel=1e-6)
    for chunk in (1, 4, 1000):
        other, chunked = _gradient(model, batch, chunk)
        assert other == pytest.approx(loss, rel=1e-6)
        assert float((chunked - gradient).abs().max() / gradient.abs().max()) < 1e-6
    assert "forward" not in model.__dict__
    assert "forward" not in model.base_model.__dict__


def test_chunks_agree_with_each_other() -> None:
    model, batch = _model("llama"), _batch()
    whole, chunked = _gradient(model, batch, 1000)[1], _gradient(model, batch, 4)[1]
    assert float((chunked - whole).abs().max() / whole.abs().max()) < 3e-7


def test_no_more_logits_than_a_chunk_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = _model("llama"), []
    real = torch.nn.functional.cross_entropy

    def noted(logits: Tensor, *arguments: Any, **options: Any) -> Tensor:
        rows.append(len(logits))
        return real(logits, *arguments, **options)

    monkeypatch.setattr(module, "cross_entropy", noted)
    _gradient(model, _batch(), 10)
    assert rows == [10, 10, 3]


def test_without_labels_the_loss_is_a_differentiable_zero() -> None:
    model = _model("glm4_moe")
    batch = collate([None, Sample([3, 4, 5], [-100] * 3, None)], 0)
    for chunk in (0, 4):
        loss, gradient = _gradient(model, batch, chunk)
        assert loss == 0
        assert not gradient.any()


def test_without_gradients_nothing_is_kept_for_them() -> None:
    model, batch = _model("llama"), _batch()
    loss, _ = _gradient(model, batch, 0)
    with torch.no_grad():
        found = summed(model, batch, 4)
    assert not found.requires_grad
    assert float(found) == pytest.approx(loss, rel=1e-6)


def test_a_trained_head_gets_its_gradient() -> None:
    model, batch = _model("llama"), _batch()
    model.lm_head.requires_grad_(True)
    _gradient(model, batch, 4)
    assert model.lm_head.weight.grad.abs().max() > 0


def test_packed_documents_do_not_see_each_other() -> None:
    model = _model("llama")
    one, other = [*range(3, 12)], [*range(30, 42)]
    places = [*range(len(one)), *range(len(other))]
    packed = Sample(one + other, [*one, -100, *other[1:]], places)
    alone = [Sample(each, each, None) for each in (one, other)]
    apart = sum(float(summed(model, collate([each], 0), 4)) for each in alone)
    assert float(summed(model, collate([packed], 0), 4)) == pytest.approx(apart, rel=1e-6)
