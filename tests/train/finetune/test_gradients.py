"""Gradients of any number of ranks are those of one process that knows nothing of ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

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


@pytest.mark.proof
def test_compiled_layers_give_the_same_gradient(
    models: dict[str, Path], truths: dict[Path, Found]
) -> None:
    cases = [
        Case(models["llama"], *shape, settings={"compile": True}) for shape in [(2, 1), (1, 2)]
    ]
    for case, found in zip(cases, world.run(2, parts, cases)[0], strict=True):
        assert _apart(found.gradients, truths[case.model].gradients) < 1e-6
