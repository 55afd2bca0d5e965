"""The data as a run meets them: files, hold-out, cache, and the same on all ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from slurmkit.train.config_file import ConfigError
from slurmkit.train.control import Control
from slurmkit.train.distributed import World
from slurmkit.train.finetune import tiny
from slurmkit.train.finetune.config import DataConfig
from slurmkit.train.finetune.data import cache
from slurmkit.train.finetune.data.load import Data, load
from tests.train.launch import torchrun

TOKENIZER = tiny.tokenizer()
ALONE = World(0, 1, 0, 1, 0, "node0", "gloo", torch.device("cpu"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURMKIT_RUN_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def loaded(path: Path | str, seed: int = 1, **fields: Any) -> Data:
    config = DataConfig(dataset_path=str(path), **fields)
    return load(config, TOKENIZER, Control(), ALONE, seed)


def write(path: Path, *samples: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return path


def texts(count: int, word: str = "node") -> list[dict[str, str]]:
    return [{"text": f"{word} {number}"} for number in range(count)]


def said(samples: Any) -> list[str]:
    return [
        str(TOKENIZER.decode(samples[index].input_ids)).removesuffix("<|endoftext|>")
        for index in range(len(samples))
    ]


def test_a_part_is_held_out_by_the_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *texts(40))
    data = loaded(path, eval_fraction=0.1)
    assert (len(data.train), len(data.evaluation)) == (36, 4)
    both = said(data.train) + said(data.evaluation)
    assert sorted(both) == sorted(each["text"] for each in texts(40))
    again = loaded(path, eval_fraction=0.1)
    assert said(again.evaluation) == said(data.evaluation)
    assert again.fingerprint == data.fingerprint
    other = loaded(path, seed=2, eval_fraction=0.1)
    assert said(other.evaluation) != said(data.evaluation)
    assert other.fingerprint != data.fingerprint


@pytest.mark.parametrize(("count", "held_out"), [(1, 0), (2, 1), (3, 1)])
def test_few_samples_are_shared_sensibly(count: int, held_out: int, tmp_path: Path) -> None:
    data = loaded(write(tmp_path / "train.jsonl", *texts(count)), eval_fraction=0.9)
    assert len(data.evaluation) == max(held_out, count - 1)
    assert len(data.train) == 1


@pytest.mark.parametrize("name", ["eval.jsonl", "validation.jsonl"])
def test_a_directory_may_bring_its_own_evaluation(name: str, tmp_path: Path) -> None:
    write(tmp_path / "data" / "train.jsonl", *texts(4))
    write(tmp_path / "data" / name, *texts(2, "rank"))
    data = loaded(tmp_path / "data")
    assert (len(data.train), said(data.evaluation)) == (4, ["rank 0", "rank 1"])
    given = write(tmp_path / "other.jsonl", *texts(3, "queue"))
    assert len(loaded(tmp_path / "data", eval_dataset_path=str(given)).evaluation) == 3


def test_tiny_data_are_made_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    data = loaded("tiny:20")
    assert data.report.samples + data.report.evaluation == 20
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("data: 19 samples to train on, ")
    assert line.endswith(" of them supervised; 1 samples to evaluate on")


def test_the_report_counts_everything(tmp_path: Path) -> None:
    rows = [*texts(9), {"text": ""}, {"text": "node " * 40}, {"txt": "node"}]
    path = write(tmp_path / "train.jsonl", *rows)
    write(tmp_path / "eval.jsonl", *texts(2), 7)
    data = loaded(tmp_path, max_length=16, packing=True, bad_lines="skip")
    report = data.report
    assert (report.samples, report.evaluation, report.truncated) == (10, 2, 1)
    assert (report.unsupervised, report.skipped) == (1, 2)
    assert report.first_skipped[0].startswith(f"{path}:12: no sample")
    assert report.first_skipped[1].startswith(f"{tmp_path / 'eval.jsonl'}:3: int")
    assert report.sequences == len(data.train) < 10
    lengths = [len(data.train[index].input_ids) for index in range(len(data.train))]
    assert sum(lengths) == report.tokens
    assert report.full == sum(lengths) / (16 * len(lengths))
    assert report.supervised == report.tokens - report.samples
    assert data.evaluation[0].position_ids is None
    assert "1 cut to data.max_length" in report.line()
    assert "2 bad lines skipped (" in report.line()


def test_what_is_tokenised_is_not_tokenised_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "train.jsonl", *texts(4))
    first = loaded(path)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "tokenise", lambda *_: pytest.fail("tokenised again"))
        assert loaded(path).fingerprint == first.fingerprint
        assert loaded(path, packing=True).fingerprint != first.fingerprint
    capsys.readouterr()
    loaded(path, max_length=8)
    write(path, *texts(5))
    loaded(path)
    changed = tiny.tokenizer()
    changed.chat_template = "{{ messages }}"
    load(DataConfig(dataset_path=str(path)), changed, Control(), ALONE, 1)
    assert capsys.readouterr().out.count("data: tokenising") == 3


@pytest.mark.parametrize("name", ["tokens.arrow", "entry.json"])
@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_a_damaged_cache_is_made_anew(name: str, damage: bytes | None, tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *texts(4))
    first = loaded(path, cache_dir=str(tmp_path / "own"))
    (file,) = (tmp_path / "own").glob(f"*/{name}")
    if damage is None:
        file.write_bytes(b"\0" * file.stat().st_size)
    else:
        file.write_bytes(damage)
    assert loaded(path, cache_dir=str(tmp_path / "own")).fingerprint == first.fingerprint
    assert len(list((tmp_path / "own").iterdir())) == 1


def test_a_chat_template_of_ones_own_is_used_and_kept(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    path = write(tmp_path / "train.jsonl", {"messages": [{"role": "assistant", "content": "node"}]})
    config = DataConfig(dataset_path=str(path), chat_template=str(template))
    data = load(config, words, Control(), ALONE, 1)
    assert words.decode(data.train[0].input_ids) == "assistant: node\n<|endoftext|>"
    assert words.chat_template == template.read_text()


def test_what_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    lines = write(tmp_path / "train.jsonl", *texts(2))
    for path, fields, expected in (
        (tmp_path / "none", {}, "none is not there"),
        (tmp_path / "empty", {}, "train.jsonl is not there"),
        (
            lines,
            {"eval_dataset_path": str(tmp_path)},
            "is a directory: give `data.eval_dataset_path`",
        ),
        (lines, {"chat_template": str(tmp_path / "no")}, "`data.chat_template`"),
        (lines, {"cache_dir": str(lines / "in_a_file")}, "`data.cache_dir`"),
        (write(tmp_path / "nothing.jsonl"), {}, "nothing to learn from"),
        (write(tmp_path / "blank.jsonl", {"text": ""}), {}, "unsupervised=1"),
        ("tiny:none", {}, "tiny:N"),
    ):
        with pytest.raises(ConfigError, match=expected):
            loaded(path, **fields)  # type: ignore[arg-type]


class _Slow:
    is_fast = False


class _Endless:
    is_fast = True
    eos_token_id = None


@pytest.mark.parametrize(("words", "expected"), [(_Slow(), "slow"), (_Endless(), "eos_token")])
def test_unfit_tokenizers_are_refused(words: Any, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(DataConfig(dataset_path="tiny:4"), words, Control(), ALONE, 1)


RANKS = """
import os, sys, time
from pathlib import Path
from slurmkit.train.config_file import ConfigError
from slurmkit.train.control import Control
from slurmkit.train.distributed import distributed
from slurmkit.train.finetune import tiny
from slurmkit.train.finetune.config import DataConfig
from slurmkit.train.finetune.data import cache, load, together
from slurmkit.train.variables import DistributedError

scratch = Path(sys.argv[1])
together._SECONDS = 0.2
with distributed() as world:
    control, words = Control(), tiny.tokenizer()
    def loaded(path, cache="shared", **fields):
        config = DataConfig(dataset_path=str(path), cache_dir=str(scratch / cache), **fields)
        return load.load(config, words, control, world, 1)
    assert len(set(control.texts(loaded("tiny:40", packing=True).fingerprint))) == 1
    own = f"node{world.node_rank}"  # disks of their own
    assert len(set(control.texts(loaded("tiny:40", own).fingerprint))) == 1
    entries = [each.name for each in (scratch / "shared").iterdir()]
    assert len(entries) == 1 and not entries[0].startswith("."), entries
    (scratch / own).mkdir(exist_ok=True)

    def refused(path, **fields):
        try:
            loaded(path, **fields)
        except ConfigError as error:
            return control.texts(str(error))
        raise AssertionError("not refused")
    one = scratch / own / "train.jsonl"
    if world.local_rank == 0:
        one.write_text('{"text": "node"}\\n' * (2 + world.node_rank))
    control.barrier()
    told = refused(one)
    assert len(set(told)) == 1 and "node1 and node0 found different data" in told[0], told
    missing = scratch / own / ("train.jsonl" if world.node_rank else "missing.jsonl")
    told = refused(missing)
    assert len(set(told)) == 1 and "missing.jsonl is not there" in told[0], told

    if world.rank == 2:  # a fault of the program, on one rank
        cache.prepare = lambda *_: 1 / 0
    try:
        loaded("tiny:40")
    except (DistributedError, ZeroDivisionError) as error:
        assert isinstance(error, ZeroDivisionError) == (world.rank == 2)
        assert world.rank == 2 or "rank 2 could not prepare the data" in str(error), error
    else:
        raise AssertionError("not raised")
    print("all well")
"""


def test_all_ranks_have_the_same_data_or_the_same_error(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    for ended in torchrun(str(script), str(tmp_path), SLURMKIT_RUN_DIR=str(tmp_path)):
        assert ended.status == 0, ended.stderr
        assert ended.stdout.count("all well") == 2
