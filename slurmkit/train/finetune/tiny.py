"""Tiny random models, their tokenizer, and chat data that they can learn: all made here, no hub.

The same seed gives the same files; what is there already is left as it is.
"""

from __future__ import annotations

import json
import random
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune.publish import publish, user_cache
from slurmkit.train.rundir import run_directory

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_SEED = 1
_VOCABULARY = 384
_CONTROL = ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
_END, _PAD = "<|endoftext|>", "<|pad|>"
_THINK = ("<think>", "</think>")
_WORDS = ("node", "rank", "shard", "queue", "batch", "token", "layer", "router")

# In the manner of GLM-4.5's: no token of its own ends a turn, an answer that was not thought about
# is preceded by an empty thought, and nothing is marked with `generation`.
_CHAT_TEMPLATE = (
    "[gMASK]<sop>"
    "{%- for m in messages -%}"
    "{%- if m.role == 'assistant' -%}"
    "<|assistant|>\n<think></think>"
    "{%- if m.content -%}{{ '\n' + m.content.strip() }}{%- endif -%}"
    "{%- for call in m.tool_calls or [] -%}{{ '\n' + call | tojson }}{%- endfor -%}"
    "{%- elif m.role == 'tool' -%}<|observation|>\n{{ m.content }}"
    "{%- else -%}<|{{ m.role }}|>\n{{ m.content }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def directory() -> Path:
    """Return where tiny things are kept: in the run directory, or in the user's cache."""
    return (run_directory() or user_cache()) / "tiny"


def model(kind: str, directory: Path) -> Path:
    """Make a tiny random model with its tokenizer, as `from_pretrained` reads it; fp32.

    Args:
        kind: glm4_moe (a dense layer, then three with eight experts) or llama.
        directory: where the model's own directory is put.

    Returns:
        The model's directory.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in _CONFIGS:
        raise ConfigError(f"`tiny:{kind}` is no tiny model: use one of {', '.join(_CONFIGS)}")
    made = directory / kind
    if not made.is_dir():
        publish(made, partial(_write_model, kind))
    return made


def data(count: int, directory: Path) -> Path:
    """Make a JSONL file of chats whose answers follow from the questions by simple patterns.

    Args:
        count: how many samples.
        directory: where the file's own directory is put.

    Returns:
        The file.
    """
    made = directory / f"data-{count}"
    if not made.is_dir():
        publish(made, partial(_write_data, count))
    return made / "train.jsonl"


def number_of_samples(dataset_path: str) -> int | None:
    """Return N of `tiny:N`; None where the path is another one.

    Raises:
        ConfigError: it begins with `tiny:`, and N is no positive number.
    """
    if not dataset_path.startswith("tiny:"):
        return None
    number = dataset_path.removeprefix("tiny:")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", number):
        raise ConfigError(
            f"`data.dataset_path: {dataset_path}` is wrong: write tiny:N with N samples, as tiny:64"
        )
    return int(number)


def tokenizer() -> PreTrainedTokenizerFast:
    """Return the tiny models' tokenizer: byte-level BPE, so that it can spell any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY - len(_THINK),
        special_tokens=[_END, _PAD, *_CONTROL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator((message["content"] for message in _sentences()), trainer)
    raw.add_tokens(list(_THINK))
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=raw,
        eos_token=_END,
        pad_token=_PAD,
        extra_special_tokens=list(_CONTROL),
        chat_template=_CHAT_TEMPLATE,
    )


def _sentences() -> list[dict[str, str]]:
    chance = random.Random(_SEED)  # noqa: S311
    return [message for _ in range(200) for message in _chat(chance)]


def _chat(chance: random.Random) -> list[dict[str, str]]:
    """Return one or two questions with their answers."""
    chat = [{"role": "system", "content": "Answer in short."}] if chance.random() < 0.25 else []
    for _ in range(chance.choice((1, 1, 2))):
        question, answer = chance.choice((_echo, _count, _add))(chance)
        chat.append({"role": "user", "content": question})
        chat.append({"role": "assistant", "content": answer})
    return chat


def _echo(chance: random.Random) -> tuple[str, str]:
    word = chance.choice(_WORDS)
    return f"Say {word} twice.", f"The answer is {word} {word}."


def _count(chance: random.Random) -> tuple[str, str]:
    start = chance.randrange(10)
    return f"Count from {start}.", f"The answer is {start} {start + 1} {start + 2}."


def _add(chance: random.Random) -> tuple[str, str]:
    one, other = chance.randrange(10), chance.randrange(10)
    return f"What is {one} + {other}?", f"The answer is {one + other}."


def _write_data(count: int, directory: Path) -> None:
    chance = random.Random(_SEED)  # noqa: S311
    lines = [json.dumps({"messages": _chat(chance)}) + "\n" for _ in range(count)]
    (directory / "train.jsonl").write_text("".join(lines), encoding="utf-8")


def _write_model(kind: str, directory: Path) -> None:
    import torch
    from transformers.utils import logging as transformers_logging

    words = tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        made = _CONFIGS[kind](words)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    made.save_pretrained(directory)
    words.save_pretrained(directory)


def _shape(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "vocab_size": len(words),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "initializer_range": 0.1,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "bos_token_id": None,
    }


def _glm4_moe(words: PreTrainedTokenizerFast) -> PreTrainedModel:
    import torch
    from transformers import Glm4MoeConfig, Glm4MoeForCausalLM

    shape = _shape(words) | {
        "moe_intermediate_size": 32,
        "n_routed_experts": 8,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
        "num_mtp_layers": 0,
    }
    made = Glm4MoeForCausalLM(Glm4MoeConfig(**shape))
    for name, buffer in made.named_buffers():
        if name.endswith("e_score_correction_bias"):  # zeros would hide a cast of it
            torch.nn.init.normal_(buffer, std=0.01)
    return made


def _llama(words: PreTrainedTokenizerFast) -> PreTrainedModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**_shape(words)))


_CONFIGS = {"glm4_moe": _glm4_moe, "llama": _llama}
