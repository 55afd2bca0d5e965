"""What is wrong with a config is told by the dotted field, and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from slurmkit.train.all_reduce.config import AllReduceConfig
from slurmkit.train.config_file import ConfigError, check_config
from slurmkit.train.finetune.config import FinetuneConfig

TINY = {"model": {"name_or_path": "tiny:llama"}, "data": {"dataset_path": "tiny:9"}}


def told(config: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        check_config(FinetuneConfig, {**TINY, **config})
    return str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"training": {"learning_rat": 1}}, "did you mean `training.learning_rate`?"),
        ({"trainin": {}}, "did you mean `training`?"),
        ({"learning_rate": 1}, "did you mean `training.learning_rate`?"),
        ({"model": {"name_or_path": "a", "max_length": 9}}, "did you mean `data.max_length`?"),
        (
            {"lora": {"rank": 8}},
            "use one of lora.r, lora.lora_alpha, lora.lora_dropout, lora.targe",
        ),
        ({"lora": {"r": 0}}, "`lora.r: 0` is wrong: Input should be greater than 0"),
        ({"data": {}}, "`data.dataset_path` is missing: write it"),
        (
            {"lora": {"target_modules": ["all-linear"]}},
            "lora.target_modules: ['all-linear']` is wr",
        ),
    ],
)
def test_fields_of_parts(config: dict[str, Any], words: str) -> None:
    assert words in told(config)


def test_every_mistake_is_told() -> None:
    text = told({"lora": {"r": 0}, "training": {"seed": -1}, "x": 1})
    assert [line.split("`")[1] for line in text.splitlines()] == [
        "training.seed: -1",
        "lora.r: 0",
        "x",
    ]


def test_a_config_without_parts() -> None:
    with pytest.raises(ConfigError, match="did you mean `dtype`"):
        check_config(AllReduceConfig, {"dtyp": "float32"})
    with pytest.raises(ConfigError, match=r"use one of sizes, min_size, .*, json"):
        check_config(AllReduceConfig, {"qqq": 1})
