"""The samples for training and for evaluation, the same on every rank.

The first rank of each node tokenises, or finds it done; the others wait and map the same files.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune.data import cache, order
from slurmkit.train.finetune.data.batch import Sample, pack_samples
from slurmkit.train.finetune.data.pack import pack
from slurmkit.train.finetune.data.report import Report
from slurmkit.train.finetune.data.sources import find
from slurmkit.train.finetune.data.together import together
from slurmkit.train.finetune.publish import user_cache

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from slurmkit.train.control import Control
    from slurmkit.train.distributed import World
    from slurmkit.train.finetune.config import DataConfig

_HELD_OUT = 2**63
"""A stream of the seed that no epoch will reach."""


class Samples:
    """Sequences by their number, from 0."""

    def __init__(self, entry: cache.Entry, groups: list[list[int]], *, packed: bool) -> None:
        """Choose from a tokenised file.

        Args:
            entry: the file.
            groups: the documents of each sequence; just one, unless packed.
            packed: whether positions start anew with each document.
        """
        self.groups = groups
        self._documents = entry.documents
        self._packed = packed

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Sample:
        rows = [self._documents[document] for document in self.groups[index]]
        samples = [Sample(row["input_ids"], row["labels"], None) for row in rows]
        return pack_samples(samples) if self._packed else samples[0]


@dataclass(frozen=True)
class Data:
    """What a run learns from and is measured by."""

    train: Samples
    """At least one sequence."""
    evaluation: Samples
    """Never packed; empty where there is but one sample in all."""
    fingerprint: str
    """Tells the training sequences from others: a run that goes on must find the same."""
    report: Report
    """What became of the files' lines."""


def load(
    config: DataConfig,
    tokenizer: PreTrainedTokenizerBase,
    control: Control,
    world: World,
    seed: int,
) -> Data:
    """Tokenise the data or find them tokenised, hold out, pack. A collective.

    Args:
        config: which data, and how.
        tokenizer: gets the config's chat template, if there is one, and is saved with it later.
        control: the ranks' common table.
        world: tells which rank is its node's first.
        seed: of what is held out for evaluation.

    Raises:
        ConfigError: the data, the tokenizer or the config are wrong; the same on every rank.
        DistributedError: preparing them failed on another rank.
    """
    work = partial(_prepare, config, tokenizer, world, speak=control.rank == 0)
    prepared = [each for each in together(control, work) if each]
    _check_same(prepared)
    mine = next(each for each in prepared if each["node"] == world.node_rank)
    data = _data(mine, config, seed)
    if control.rank == 0:
        _say(data.report.line())
    return data


def _prepare(
    config: DataConfig, tokenizer: Any, world: World, *, speak: bool
) -> dict[str, Any] | None:
    """Tokenise the files, on the first rank of a node; return where they are."""
    if config.chat_template:
        tokenizer.chat_template = _chat_template(Path(config.chat_template).expanduser())
    _check_tokenizer(tokenizer)
    if world.local_rank > 0:
        return None
    sources = find(config)
    directory = Path(config.cache_dir or user_cache() / "data").expanduser()
    found: dict[str, Any] = {"node": world.node_rank, "name": world.node, "digests": []}
    for name, path in (("train", sources.train), ("evaluation", sources.evaluation)):
        if path is None:
            continue
        where = cache.prepare(path, tokenizer, config, directory, _say if speak else _say_nothing)
        entry = _open(where)
        if entry.counts.kept == 0:
            raise ConfigError(f"{path}: nothing to learn from is left: {entry.counts}")
        found[name] = [str(path), str(where)]
        found["digests"].append(entry.digest)
    return found


def _chat_template(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {error}: give `data.chat_template` a file with a Jinja template"
        ) from error


def _check_tokenizer(tokenizer: Any) -> None:
    if not tokenizer.is_fast:
        raise ConfigError(
            f"the tokenizer, a {type(tokenizer).__name__}, is a slow one and cannot tell which "
            "characters a token stands for: put a tokenizer.json into the model's directory"
        )
    if tokenizer.eos_token_id is None:
        raise ConfigError(
            "the tokenizer has no eos_token, so that no answer could end: set it in "
            "tokenizer_config.json of the model's directory"
        )


def _check_same(prepared: list[dict[str, Any]]) -> None:
    first = prepared[0]
    for each in prepared[1:]:
        if each["digests"] != first["digests"]:
            raise ConfigError(
                f"{each['name']} and {first['name']} found different data or tokenizers at the "
                f"same path ({first['train'][0]}): copy the same files to all nodes"
            )


def _open(where: Path) -> cache.Entry:
    entry = cache.read(where)
    if entry is None:
        raise ConfigError(
            f"{where}: the tokenised data were removed or damaged just now: start again, or give "
            "another directory as `data.cache_dir`"
        )
    return entry


def _data(prepared: dict[str, Any], config: DataConfig, seed: int) -> Data:
    entries: dict[str, tuple[str, cache.Entry]] = {
        name: (prepared[name][0], _open(Path(prepared[name][1])))
        for name in ("train", "evaluation")
        if name in prepared
    }
    entry = entries["train"][1]
    documents = list(range(entry.counts.kept))
    if "evaluation" in entries:
        evaluation_entry = entries["evaluation"][1]
        held_out = list(range(evaluation_entry.counts.kept))
    else:
        evaluation_entry = entry
        documents, held_out = _hold_out(len(documents), config.eval_fraction, seed)
    groups = [[document] for document in documents]
    if config.packing:
        lengths = _column(entry, "length")[documents].tolist()
        groups = [[documents[at] for at in group] for group in pack(lengths, config.max_length)]
    return Data(
        train=Samples(entry, groups, packed=config.packing),
        evaluation=Samples(evaluation_entry, [[each] for each in held_out], packed=False),
        fingerprint=hashlib.sha256(json.dumps([entry.digest, groups]).encode()).hexdigest(),
        report=_report(entries, config, documents, len(groups), len(held_out)),
    )


def _hold_out(number: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the samples to train on, and of those to evaluate on."""
    held_out = min(max(1, round(number * fraction)), number - 1)
    mixed = order.permutation(number, seed, _HELD_OUT)
    return np.sort(mixed[held_out:]).tolist(), np.sort(mixed[:held_out]).tolist()


def _report(
    entries: dict[str, tuple[str, cache.Entry]],
    config: DataConfig,
    documents: list[int],
    sequences: int,
    held_out: int,
) -> Report:
    entry = entries["train"][1]
    counts = [each.counts for _, each in entries.values()]
    tokens = int(_column(entry, "length")[documents].sum())
    return Report(
        samples=len(documents),
        tokens=tokens,
        supervised=int(_column(entry, "supervised")[documents].sum()),
        sequences=sequences,
        full=tokens / (sequences * config.max_length) if config.packing else 1.0,
        evaluation=held_out,
        truncated=sum(each.truncated for each in counts),
        too_long=sum(each.too_long for each in counts),
        unsupervised=sum(each.unsupervised for each in counts),
        skipped=sum(each.skipped for each in counts),
        first_skipped=tuple(
            f"{path}:{line}"
            for path, each in entries.values()
            for line in each.counts.first_skipped
        ),
    )


def _column(entry: cache.Entry, name: str) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.asarray(entry.documents.data.column(name).to_numpy())


def _say(line: str) -> None:
    with suppress(OSError):  # a full disk behind it ends no training
        print(line, flush=True)


def _say_nothing(_: str) -> None:
    pass
