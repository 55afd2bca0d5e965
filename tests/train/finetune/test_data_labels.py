"""What is supervised: the assistant's words and what ends them, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune import tiny
from slurmkit.train.finetune.config import DataConfig
from slurmkit.train.finetune.data.tokenise import UNSUPERVISED, Counts, Tokens, tokenise

TURNS = (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
OPEN_THOUGHT = (
    "{%- for m in messages -%}"
    "{%- if m.role == 'assistant' -%}<|assistant|>"
    "{{ '' if '<think>' in m.content else '</think>' }}{{ m.content }}"
    "{%- else -%}<|{{ m.role }}|>{{ m.content }}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|><think>{%- endif -%}"
)
FORGETS_THOUGHTS = (
    "{%- for m in messages -%}<|{{ m.role }}|>"
    "{{ m.content if loop.last else m.content.split('</think>')[-1] }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
LEADS_ASTRAY = (
    "{%- for m in messages -%}<|{{ m.role }}|>{{ m.content }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>Sure! {%- endif -%}"
)


def tokenizer(template: str | None = None, *, trims: bool = False) -> PreTrainedTokenizerFast:
    made = tiny.tokenizer()
    made.add_special_tokens({"extra_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    made.chat_template = template or made.chat_template
    if trims:
        made.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return made


def say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "train.jsonl"


def tokenised(path: Path, words: PreTrainedTokenizerFast, *samples: dict[str, Any]) -> list[Tokens]:
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    config = DataConfig(dataset_path="unused", max_length=100_000)
    return list(tokenise(path, words, config, Counts(), print))


def learnt(words: PreTrainedTokenizerFast, tokens: Tokens) -> list[str]:
    """Return what is supervised, decoded, each run by itself."""
    assert len(tokens.labels) == len(tokens.input_ids)
    runs: list[list[int]] = [[]]
    for token, label in zip(tokens.input_ids, tokens.labels, strict=True):
        assert label in (token, UNSUPERVISED)
        if label != UNSUPERVISED:
            runs[-1].append(token)
        elif runs[-1]:
            runs.append([])
    return [str(words.decode(run)) for run in runs if run]


CHAT = [
    say("system", "Be short."),
    say("user", "Say node."),
    say("assistant", "node"),
    say("user", "Say rank."),
    say("assistant", "rank"),
]


@pytest.mark.parametrize("trims", [False, True])
@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (None, ["node<|user|>", "rank<|endoftext|>"]),
        (TURNS, ["node<|im_end|>", "rank<|im_end|>"]),
        (OPEN_THOUGHT, ["node<|user|>", "rank<|endoftext|>"]),
    ],
    ids=["glm", "chatml", "open thought"],
)
def test_answers_are_learnt_with_what_ends_them(
    template: str | None, expected: list[str], trims: bool, scratch: Path
) -> None:
    words = tokenizer(template, trims=trims)
    assert learnt(words, tokenised(scratch, words, {"messages": CHAT})[0]) == expected


def test_a_thought_that_was_thought_is_learnt(scratch: Path) -> None:
    words = tokenizer(OPEN_THOUGHT)
    chat = [say("user", "1 + 1?"), say("assistant", "<think>Two.</think>2")]
    (tokens,) = tokenised(scratch, words, {"messages": chat})
    assert learnt(words, tokens) == ["Two.</think>2<|endoftext|>"]


def test_tool_calls_are_learnt_and_what_tools_answer_is_not(scratch: Path) -> None:
    words = tokenizer()
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    chat = [
        say("user", "1 + 1?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        say("tool", "2"),
        say("assistant", "Two."),
    ]
    (tokens,) = tokenised(scratch, words, {"messages": chat})
    assert learnt(words, tokens) == [
        json.dumps(call) + "<|observation|>",
        "Two.<|endoftext|>",
    ]


def test_prompt_completion_and_text(scratch: Path) -> None:
    words = tokenizer()
    completion, text, none = tokenised(
        scratch,
        words,
        {"prompt": "Say node:", "completion": " node"},
        {"text": "node rank"},
        {"prompt": "", "completion": "node rank"},
    )
    assert learnt(words, completion) == [" node<|endoftext|>"]
    assert text == none
    assert words.decode(text.input_ids) == "node rank<|endoftext|>"
    assert text.labels == [UNSUPERVISED, *text.input_ids[1:]]


def test_a_blank_at_the_end_of_a_prompt_is_not_learnt(scratch: Path) -> None:
    words = tokenizer(trims=True)  # its blank has the offsets of nothing at all
    (tokens,) = tokenised(scratch, words, {"prompt": "Say: ", "completion": "#"})
    assert learnt(words, tokens) == ["#<|endoftext|>"]


def test_a_tokenizers_own_bos_and_eos_are_not_doubled(scratch: Path) -> None:
    words = tokenizer()
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<sop> $0 <|endoftext|>",
        special_tokens=[
            (name, words.convert_tokens_to_ids(name)) for name in ("<sop>", "<|endoftext|>")
        ],
    )
    plain, chat = tokenised(scratch, words, {"text": "node"}, {"messages": CHAT[1:3]})
    assert words.decode(plain.input_ids) == "<sop>node<|endoftext|>"
    assert learnt(words, plain) == ["node<|endoftext|>"]
    assert str(words.decode(chat.input_ids)).startswith("[gMASK]<sop><|user|>")


@pytest.mark.parametrize(
    ("template", "chat", "expected"),
    [
        (FORGETS_THOUGHTS, [CHAT[1], say("assistant", "<think>x</think>y"), *CHAT[3:]], "make one"),
        (LEADS_ASTRAY, CHAT, "add_generation_prompt"),
        ("{{ raise_exception('no system here') }}", CHAT, "no system here"),
        ("{{ 1 + messages }}", CHAT, "TypeError"),
    ],
)
def test_a_template_that_does_not_show_the_answers_is_refused(
    template: str, chat: list[dict[str, str]], expected: str, scratch: Path
) -> None:
    with pytest.raises(ConfigError, match=expected):
        tokenised(scratch, tokenizer(template), {"messages": chat})


def test_messages_without_a_template_are_refused(scratch: Path) -> None:
    words = tokenizer()
    words.chat_template = None
    with pytest.raises(ConfigError, match="prompt` and `completion"):
        tokenised(scratch, words, {"messages": CHAT})


GLM, CHATML, TRIMS = tokenizer(), tokenizer(TURNS), tokenizer(TURNS, trims=True)
SPECIAL = [str(each) for each in GLM.added_tokens_decoder.values()]
content = st.text(st.characters(codec="utf-8"), max_size=12).filter(
    lambda text: not any(special in text for special in SPECIAL)
)
OPENS = {"tool": "observation"}
roles = st.sampled_from(["system", "user", "assistant", "tool"])
chats = st.lists(st.tuples(roles, content), min_size=1, max_size=6)


@settings(deadline=None)
@given(chats)
def test_what_is_supervised_is_what_the_assistant_said(
    scratch: Path, chat: list[tuple[str, str]]
) -> None:
    sample = {"messages": [say(*each) for each in chat]}
    stops = [f"<|{OPENS.get(role, role)}|>" for role, _ in chat[1:]] + ["<|endoftext|>"]
    answers = [
        (text, stop) for (role, text), stop in zip(chat, stops, strict=True) if role == "assistant"
    ]
    for words, expected in (
        (CHATML, [f"{text}<|im_end|>" for text, _ in answers]),
        (TRIMS, [f"{text}<|im_end|>" for text, _ in answers]),
        (GLM, [f"{text.strip()}{stop}" for text, stop in answers]),
    ):
        found = tokenised(scratch, words, sample)
        assert (learnt(words, found[0]) if found else []) == expected


@settings(deadline=None)
@given(content, content)
def test_a_completion_is_supervised_but_for_a_token_that_began_in_the_prompt(
    scratch: Path, prompt: str, completion: str
) -> None:
    found = tokenised(scratch, GLM, {"prompt": prompt + "\n:", "completion": completion})
    (said,) = learnt(GLM, found[0])
    assert (completion + "<|endoftext|>").endswith(said)
