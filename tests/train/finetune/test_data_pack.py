"""Packed documents are whole, compact, and do not see each other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, PreTrainedModel

from slurmkit.train.finetune import tiny
from slurmkit.train.finetune.data.batch import Batch, Sample, collate, pack_samples
from slurmkit.train.finetune.data.pack import pack


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), max_size=60), st.integers(50, 80))
def test_every_document_is_in_one_sequence(lengths: list[int], capacity: int) -> None:
    sequences = pack(lengths, capacity)
    assert sorted(document for each in sequences for document in each) == list(range(len(lengths)))
    sums = [sum(lengths[document] for document in each) for each in sequences]
    assert all(0 < total <= capacity for total in sums)
    assert len(sequences) <= 1 + 2 * sum(lengths) // capacity  # no two would fit into one
    assert sequences == pack(lengths, capacity)


def test_a_million_documents_are_packed_in_seconds() -> None:
    lengths = [1 + each * 7919 % 4096 for each in range(200_000)]
    assert sum(lengths) / (4096 * len(pack(lengths, 4096))) > 0.99


documents = st.lists(
    st.lists(st.integers(0, 300), min_size=1, max_size=8).map(lambda ids: Sample(ids, ids, None)),
    min_size=1,
    max_size=5,
)


@settings(deadline=None)
@given(documents)
def test_packing_keeps_all_tokens(samples: list[Sample]) -> None:
    packed = pack_samples(samples)
    assert packed.input_ids == [token for each in samples for token in each.input_ids]
    assert packed.position_ids is not None
    starts = [at for at, position in enumerate(packed.position_ids) if position == 0]
    assert len(starts) == len(samples)
    assert [packed.labels[start] for start in starts] == [-100] * len(starts)
    whole = sum(collate([each], 0).tokens for each in samples)
    assert collate([packed], 0).tokens == whole


@settings(deadline=None)
@given(st.lists(documents.map(pack_samples) | st.none(), min_size=1, max_size=4))
def test_a_batch_holds_its_samples_and_padding(samples: list[Sample | None]) -> None:
    batch = collate(samples, 301)
    assert batch.input_ids.shape == batch.labels.shape == batch.valid.shape
    for row, sample in enumerate(samples):
        kept = batch.valid[row]
        assert batch.input_ids[row][kept].tolist() == (sample.input_ids if sample else [])
        assert set(batch.input_ids[row][~kept].tolist()) <= {301}
        assert set(batch.labels[row][~kept].tolist()) <= {-100}
    assert batch.tokens == sum(collate([each], 0).tokens for each in samples if each)


def test_samples_that_count_for_nothing_are_a_batch_too() -> None:
    batch = collate([None, None], 0)
    assert batch.tokens == 0
    assert batch.input_ids.shape == (2, 2)
    assert batch.position_ids is None


@pytest.fixture(scope="module", params=["glm4_moe", "llama"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> PreTrainedModel:
    path = tiny.model(request.param, tmp_path_factory.mktemp("tiny"))
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    assert not model.training
    return model


def summed(model: PreTrainedModel, batch: Batch, mask: torch.Tensor | None = None) -> float:
    with torch.no_grad():
        logits = model(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=mask,
            use_cache=False,
        ).logits
    return float(
        cross_entropy(logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten(), reduction="sum")
    )


def test_the_loss_of_packed_documents_is_the_sum_of_theirs(model: PreTrainedModel) -> None:
    chance = torch.Generator().manual_seed(1)
    samples = []
    for length in (17, 1, 40, 23, 9):
        ids = torch.randint(0, 300, (length,), generator=chance).tolist()
        samples.append(Sample(ids, ids, None))
    alone = sum(summed(model, collate([each], 1)) for each in samples)
    # A shorter neighbour, so that there is padding behind packed documents, too.
    batch = collate([pack_samples(samples[:3]), pack_samples(samples[3:]), None], 1)
    assert summed(model, batch) == pytest.approx(alone, rel=1e-5)
    padded = collate(samples, 1)
    assert summed(model, padded) == pytest.approx(alone, rel=1e-5)
    # What every tokenizer returns beside the ids, and most collators pass on:
    ones = torch.ones_like(batch.input_ids)
    assert summed(model, batch, ones) != pytest.approx(alone, rel=1e-3)
