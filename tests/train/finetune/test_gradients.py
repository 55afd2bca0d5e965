"""Gradients of any number of ranks are those of one process that knows nothing of ranks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from slurmkit.train.distributed import World
from slurmkit.train.finetune import tiny
from tests.train import world
from tests.train.finetune.truth import Arrays, Case, Found, parts, plain

KINDS = ("glm4_moe", "llama")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("models")
    return {kind: tiny.model(kind, directory) for kind in KINDS}


@pytest.fixture(scope="module")
def truths(models: dict[str, Path]) -> dict[Path, Found]:
    return {path: plain(path) for path in models.values()}


def _apart(found: Arrays, truth: Arrays) -> float:
    """Return the largest difference, in parts of the largest number."""
    assert found.keys() == truth.keys()
    largest = max(float(abs(each).max()) for each in truth.values())
    return max(float(abs(found[name] - truth[name]).max()) for name in truth) / largest


def _cases(models: dict[str, Path], shapes: list[tuple[int, int]]) -> list[Case]:
    eager = {"experts_implementation": "eager", "activation_checkpointing": False}
    cases = [Case(model, *shape) for model in models.values() for shape in shapes]
    cases += [Case(models["glm4_moe"], *shape, settings=eager) for shape in shapes[-1:]]
    return [*cases, Case(models["glm4_moe"], *shapes[-1], chunk=0)]


@pytest.mark.parametrize(
    ("ranks", "shapes"),
    [(1, [(1, 1)]), (2, [(2, 1), (1, 2)]), (4, [(1, 4), (2, 2)])],
    ids=["1 rank", "2 ranks", "4 ranks"],
)
def test_every_mesh_gives_the_gradient_of_one_process(
    models: dict[str, Path],
    truths: dict[Path, Found],
    ranks: int,
    shapes: list[tuple[int, int]],
) -> None:
    cases = _cases(models, shapes)
    answers = world.run(ranks, parts, cases)
    for rank, answer in enumerate(answers):
        for case, found in zip(cases, answer, strict=True):
            truth, place = truths[case.model], f"rank {rank}, {case}"
            assert _apart(found.gradients, truth.gradients) < 1e-6, place
            assert found.loss == pytest.approx(truth.loss, rel=1e-6), place
            assert found.norm == pytest.approx(truth.norm, rel=1e-6), place
            assert _apart(found.weights, truth.weights) < 1e-5, place


def test_bfloat16_computes_and_keeps_float32_adapters(
    models: dict[str, Path], truths: dict[Path, Found]
) -> None:
    cases = [
        Case(model, *shape, settings={"dtype": "bfloat16"})
        for model in models.values()
        for shape in [(2, 1), (1, 2)]
    ]
    for case, found in zip(cases, world.run(2, parts, cases)[0], strict=True):
        truth = truths[case.model]
        assert all(each.dtype == "float32" for each in found.weights.values())
        assert all(each.dtype == "float32" for each in found.gradients.values())
        assert found.loss == pytest.approx(truth.loss, rel=0.01)
        assert _apart(found.gradients, truth.gradients) < 0.25  # a router may choose otherwise


def _compiled(here: World, cases: list[Case]) -> tuple[list[Found], int]:
    """Trace, but leave the kernels to torch: making them takes minutes on a CPU."""
    torch.compile = partial(torch.compile, backend="aot_eager")
    found = parts(here, cases)
    return found, torch._dynamo.utils.counters["stats"]["unique_graphs"]


def test_compiled_layers_give_the_same_gradient(
    models: dict[str, Path], truths: dict[Path, Found]
) -> None:
    cases = [Case(models["llama"], 1, 2, settings={"compile": True})]
    (found,), graphs = world.run(2, _compiled, cases)[0]
    assert graphs > 2, "nothing was compiled: is there a graph break in a recomputed layer?"
    assert _apart(found.gradients, truths[cases[0].model].gradients) < 1e-6
