"""Evaluation: the one-process value on any number of ranks, and no trace in the training."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from slurmkit.train.control import Control
from slurmkit.train.evaluate import evaluate, perplexity, subset
from slurmkit.train.finetune.data.batch import Batch, Sample, collate
from slurmkit.train.finetune.data.order import share
from tests.train.launch import ranks


def tiny() -> Any:
    torch.manual_seed(1)
    shape: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    config = LlamaConfig(**shape, vocab_size=97, num_hidden_layers=2, attention_dropout=0.1)
    return LlamaForCausalLM(config)


def samples(count: int) -> list[Sample]:
    """Samples of all lengths, of which very different parts are supervised."""
    chance = random.Random(1)
    made = []
    for _ in range(count):
        ids = [chance.randrange(97) for _ in range(chance.randrange(3, 40))]
        masked = chance.randrange(len(ids) - 1)
        made.append(Sample(ids, [-100] * masked + ids[masked:], None))
    return made


def batches(rank: int, world_size: int, count: int = 7) -> list[Batch]:
    """Batches of two; the last ones of the last ranks hold less, or nothing."""
    mine = share(list(range(count)), rank, world_size)
    known = [None if index is None else samples(count)[index] for index in mine]
    return [collate(known[first : first + 2], 0) for first in range(0, len(known), 2)]


RANK = """
import json, sys
from slurmkit.train.control import Control
from slurmkit.train.distributed import distributed
from slurmkit.train.evaluate import evaluate
from tests.train.test_evaluate import batches, tiny
from torch.distributed.fsdp import fully_shard
with distributed() as world:
    control, model = Control(), tiny()
    calls = []
    inner = control.sum
    control.sum = lambda numbers: calls.append(1) or inner(numbers)
    mine = batches(world.rank, world.world_size)
    plain = evaluate(model, mine, control, 8)
    for layer in model.model.layers:
        fully_shard(layer)
    fully_shard(model)
    sharded = evaluate(model, mine, control, 0)
    row = [plain.loss, sharded.loss, plain.tokens, plain.perplexity, len(calls), len(mine)]
    print(json.dumps(row), flush=True)
    del model
"""


def test_three_uneven_ranks_give_the_value_of_one(tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    ended = ranks(3, str(script), PYTHONPATH=str(Path.cwd()))
    assert [each.status for each in ended] == [0, 0, 0], ended
    rows = [json.loads(each.stdout) for each in ended]
    assert rows[0] == rows[1] == rows[2]
    plain, sharded, tokens, shown, calls, count = rows[0]

    model = tiny().double()
    truth = evaluate(model, batches(0, 1), Control(), 0)
    assert plain == pytest.approx(truth.loss, rel=1e-6)
    assert sharded == pytest.approx(truth.loss, rel=1e-6)
    assert tokens == truth.tokens == sum(batch.tokens for batch in batches(0, 1))
    assert shown == math.exp(plain)
    assert (calls, count) == (2, 2)  # one reduction an evaluation

    # What it would be by the ways that suggest themselves.
    by_rank = [evaluate(model, batches(rank, 3), Control(), 0).loss for rank in range(3)]
    assert abs(sum(by_rank) / 3 - truth.loss) > 1e-4
    doubled = batches(0, 1) + batches(2, 3)[:1]
    assert abs(evaluate(model, doubled, Control(), 0).loss - truth.loss) > 1e-4


def test_an_evaluation_leaves_no_trace_in_training() -> None:
    model = tiny().train()
    model.model.layers[0].eval()  # a part that somebody holds still
    before = {name: module.training for name, module in model.named_modules()}
    random_numbers = torch.get_rng_state()

    def loaded() -> Any:
        for batch in batches(0, 1):
            torch.rand(1)  # as a data loader does
            yield batch

    first = evaluate(model, loaded(), Control(), 0)
    assert torch.equal(torch.get_rng_state(), random_numbers)
    assert {name: module.training for name, module in model.named_modules()} == before
    assert evaluate(model, batches(0, 1), Control(), 0).loss == first.loss  # no dropout
    assert all(parameter.grad is None for parameter in model.parameters())


def test_training_goes_on_after_an_evaluation_that_failed() -> None:
    model = tiny().train()
    with pytest.raises(ValueError, match="no supervised token, on no rank"):
        evaluate(model, [collate([None, None], 0)], Control(), 4)
    assert model.training
    assert torch.is_grad_enabled()


def test_a_subset_is_a_function_of_length_size_and_seed() -> None:
    drawn = subset(1000, 200, 42)
    assert drawn == subset(1000, 200, 42) == sorted(set(drawn))
    assert len(drawn) == 200
    assert drawn[:5] == [3, 6, 11, 25, 27]  # of any version of Python
    assert drawn != subset(1000, 200, 43)
    assert subset(10, None, 1) == subset(10, 10, 1) == subset(10, 200, 1) == list(range(10))


def test_perplexity_is_infinite_rather_than_an_error() -> None:
    assert perplexity(1.0) == math.e
    assert perplexity(1e4) == math.inf
    assert math.isnan(perplexity(math.nan))
