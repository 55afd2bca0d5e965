"""Tiny models load, learn, and are the same wherever and however often they are made."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune import tiny
from slurmkit.train.finetune.config import DataConfig
from slurmkit.train.finetune.data import order
from slurmkit.train.finetune.data.batch import Sample, collate
from slurmkit.train.finetune.data.tokenise import Counts, tokenise
from tests.train.launch import python

MAKE = """
import sys
from pathlib import Path
from slurmkit.train.finetune import tiny
tiny.model("llama", Path(sys.argv[1]))
tiny.data(8, Path(sys.argv[1]))
"""


def contents(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["glm4_moe", "llama"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tiny_model_is_read_as_any_other(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    path = tiny.model(kind, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
    assert next(model.parameters()).dtype == dtype
    assert AutoTokenizer.from_pretrained(path).chat_template == tiny.tokenizer().chat_template
    assert model.config.pad_token_id == tiny.tokenizer().pad_token_id
    biases = [each for name, each in model.named_buffers() if "correction_bias" in name]
    assert len(biases) == (3 if kind == "glm4_moe" else 0)
    for bias in biases:
        assert bias.dtype == torch.float32
        assert not torch.equal(bias, bias.to(torch.bfloat16).float())


def test_another_process_makes_the_same(tmp_path: Path) -> None:
    made = python("-c", MAKE, str(tmp_path / "a"), PYTHONHASHSEED="7")
    assert made.status == 0, made.stderr
    tiny.model("llama", tmp_path / "b")
    tiny.data(8, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_several_that_make_the_same_thing_at_once_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, together = tiny._write_data, Barrier(4)

    def write_together(count: int, directory: Path) -> None:
        write(count, directory)
        together.wait(20)

    monkeypatch.setattr(tiny, "_write_data", write_together)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(tiny.data, [8] * 4, [tmp_path] * 4))
    assert set(paths) == {tmp_path / "data-8" / "train.jsonl"}
    assert [path.name for path in tmp_path.iterdir()] == ["data-8"]
    assert len(paths[0].read_text().splitlines()) == 8


def test_what_was_left_half_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object, directory: Path) -> None:
        (directory / "train.jsonl").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tiny, "_write_data", killed)
        with pytest.raises(KeyboardInterrupt):
            tiny.data(3, tmp_path)
    assert not list(tmp_path.iterdir())
    path = tiny.data(3, tmp_path)
    assert len(path.read_text().splitlines()) == 3
    before = path.stat().st_mtime_ns
    assert tiny.data(3, tmp_path).stat().st_mtime_ns == before


def test_making_a_model_leaves_torchs_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    tiny.model("llama", tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_names_that_a_config_may_use() -> None:
    assert tiny.number_of_samples("tiny:64") == 64
    assert tiny.number_of_samples("data/train.jsonl") is None
    for wrong in ("tiny:", "tiny:0", "tiny:many", "tiny:-1"):
        with pytest.raises(ConfigError, match="tiny:N"):
            tiny.number_of_samples(wrong)
    with pytest.raises(ConfigError, match="glm4_moe, llama"):
        tiny.model("gpt", Path())


def test_tiny_things_lie_in_the_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMKIT_RUN_DIR", str(tmp_path))
    assert tiny.directory() == tmp_path / "tiny"
    monkeypatch.delenv("SLURMKIT_RUN_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tiny.directory() == tmp_path / "slurmkit" / "tiny"


@pytest.mark.parametrize("kind", ["glm4_moe", "llama"])
def test_thirty_steps_of_lora_lower_the_loss(kind: str, tmp_path: Path) -> None:
    words = tiny.tokenizer()
    config = DataConfig(dataset_path="tiny:64")
    documents = [
        Sample(each.input_ids, each.labels, None)
        for each in tokenise(tiny.data(64, tmp_path), words, config, Counts(), print)
    ]
    assert words.pad_token_id is not None
    base = AutoModelForCausalLM.from_pretrained(tiny.model(kind, tmp_path), dtype=torch.float32)
    torch.manual_seed(0)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
    model = get_peft_model(base, lora)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for step in range(30):
        indices = order.batch(step * 8, 8, len(documents), 1)
        batch = collate([documents[index] for index in indices], words.pad_token_id)
        loss = model(input_ids=batch.input_ids, labels=batch.labels, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5]), losses


def test_chats_are_what_a_user_would_write(tmp_path: Path) -> None:
    for line in tiny.data(20, tmp_path).read_text().splitlines():
        roles = [message["role"] for message in json.loads(line)["messages"]]
        assert roles[-1] == "assistant"
        assert set(roles) <= {"system", "user", "assistant"}
