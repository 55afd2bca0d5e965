"""Bad lines are named with what is wrong and what to do; no bytes do worse than that."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune import tiny
from slurmkit.train.finetune.config import DataConfig
from slurmkit.train.finetune.data import read
from slurmkit.train.finetune.data.tokenise import Counts, Tokens, tokenise

TOKENIZER = tiny.tokenizer()
USER = {"role": "user", "content": "Say node twice."}
ANSWER = {"role": "assistant", "content": "node node"}

BAD = {
    b"": None,
    b"{": "no JSON at column 2",
    b"[1]": "jq -c '.[]'",
    b"7": "int, no JSON object",
    b'{"text": "\xff"}': "no UTF-8 at byte 11",
    b"[" * 100_000: "no JSON that can be read",
    b'{"a": ' + b"1" * 5000 + b"}": "no JSON that can be read",
    b'{"conversations": []}': "no sample, but an object with 'conversations'",
    b"{}": "nothing in it",
    b'{"text": 7}': "`text` is a int, no text",
    b'{"text": "\\ud800"}': "half a character",
    b'{"prompt": "a"}': "`completion` is missing",
    b'{"messages": []}': "no list with something in it",
    b'{"messages": ["a"]}': "`messages[0]` is no object",
    b'{"messages": [{"role": "bot"}]}': "`messages[0].role: 'bot'` is wrong",
    b'{"messages": [{"role": "user"}]}': "`messages[0].content` is no text",
    b'{"messages": [{"role": "assistant", "content": null}]}': "`messages[0].content` is no text",
    b'{"messages": [{"role": "user", "content": "a"}], "tools": 1}': "`tools` is no list",
    b'{"messages": [{"role": "user", "content": "a"}], "tools": [1]}': "template refuses it",
}


def config(**fields: Any) -> DataConfig:
    return DataConfig(dataset_path="unused", **fields)


def tokenised(path: Path, **fields: Any) -> tuple[list[Tokens], Counts]:
    counts = Counts()
    return list(tokenise(path, TOKENIZER, config(**fields), counts, print)), counts


@pytest.mark.parametrize("line", BAD, ids=lambda line: ascii(line[:30]))
def test_a_bad_line_is_named_or_skipped(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    good = json.dumps({"messages": [USER, ANSWER]}).encode()
    path.write_bytes(good + b"\n\n" + line + b"\r\n" + good)
    expected = BAD[line]
    documents, counts = tokenised(path, bad_lines="skip")
    assert len(documents) == counts.kept == 2
    if expected is None:
        assert counts.skipped == 0
        return
    assert counts.skipped == 1
    assert counts.first_skipped[0].startswith("3: ")
    with pytest.raises(ConfigError) as error:
        tokenised(path)
    assert str(error.value).startswith(f"{path}:3: ")
    assert expected in str(error.value)
    assert "data.bad_lines: skip" in str(error.value)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_sample_or_a_bad_one(data: bytes) -> None:
    with suppress(read.BadSampleError):
        read.sample(data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "bot"])},
    optional={"content": anything, "tool_calls": anything},
)
samples = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(messages | anything, max_size=3) | anything,
        "tools": anything,
        "prompt": anything,
        "completion": anything,
        "text": anything,
    },
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "train.jsonl"


@settings(deadline=None)
@given(st.lists(samples.map(lambda each: json.dumps(each).encode()) | st.binary(), max_size=4))
def test_any_file_is_read_or_refused(scratch: Path, content: list[bytes]) -> None:
    scratch.write_bytes(b"\n".join(content))
    with suppress(ConfigError):
        tokenised(scratch)
    _, counts = tokenised(scratch, bad_lines="skip")
    lines = scratch.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert counts.kept + counts.unsupervised + counts.skipped == sum(
        bool(line.strip()) for line in lines
    )


def test_a_byte_order_mark_is_no_part_of_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "node rank"}\n')
    assert tokenised(path)[1].kept == 1


def test_only_the_first_skipped_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"{\n" * 40)
    _, counts = tokenised(path, bad_lines="skip")
    assert counts.skipped == 40
    assert len(counts.first_skipped) == 5


def test_long_samples_are_cut_or_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [
        {"text": "node " * 50},
        {"prompt": "node " * 50, "completion": "rank"},
        {"text": "7"},
        {"messages": [USER]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    documents, counts = tokenised(path, max_length=20)
    assert [len(each.input_ids) for each in documents] == [20, 2]
    assert TOKENIZER.eos_token_id not in documents[0].input_ids
    assert (counts.kept, counts.truncated, counts.unsupervised) == (2, 1, 2)
    _, counts = tokenised(path, max_length=20, long_samples="drop")
    assert (counts.kept, counts.too_long, counts.unsupervised) == (1, 2, 1)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        tokenised(tmp_path / "train.jsonl")
