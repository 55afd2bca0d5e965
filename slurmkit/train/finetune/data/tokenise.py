"""From rendered texts to token ids and labels, counting what is cut and what is dropped.

A text is tokenised once, as a whole, as the model will see it; the offsets of its tokens say
which of them belong to an answer. A token that begins before an answer is not learnt.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune.data.read import BadSampleError, lines, sample
from slurmkit.train.finetune.data.render import Rendered, Renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from slurmkit.train.finetune.config import DataConfig

_TOGETHER = 512
_NAMED = 5
_TELL_SECONDS = 30
UNSUPERVISED = -100
"""The label of a token that the loss passes over, as in transformers."""


@dataclass
class Counts:
    """What became of a file's lines."""

    kept: int = 0
    """Samples."""
    truncated: int = 0
    """Samples that lost their end."""
    too_long: int = 0
    """Samples dropped for their length."""
    unsupervised: int = 0
    """Samples dropped because no token of them is to be learnt."""
    skipped: int = 0
    """Lines that are no sample."""
    first_skipped: list[str] = field(default_factory=list)
    """The first few of them: line number and what is wrong."""


@dataclass(frozen=True)
class Tokens:
    """A tokenised document."""

    input_ids: list[int]
    """All tokens."""
    labels: list[int]
    """The same, or -100; the first is always -100: nothing is before it to predict it from."""


def tokenise(
    path: Path,
    tokenizer: PreTrainedTokenizerBase,
    config: DataConfig,
    counts: Counts,
    tell: Callable[[str], None],
) -> Iterator[Tokens]:
    """Yield the documents of a file, in its order.

    Args:
        path: the JSONL file.
        tokenizer: a fast one, with an end-of-text token.
        config: what to do with long samples and bad lines.
        counts: is counted up.
        tell: is told how far it has come, every half minute.

    Raises:
        ConfigError: the file cannot be read, or a line is no sample and none may be skipped.
    """
    texts = _rendered(path, Renderer(tokenizer), config, counts)
    told = time.monotonic()
    while some := list(islice(texts, _TOGETHER)):
        for bare, group in groupby(some, key=lambda each: each.bare):
            for tokens in _tokens(list(group), tokenizer, bare):
                kept = _fit(tokens, config, counts)
                if kept:
                    yield kept
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            tell(f"data: {counts.kept:,} samples tokenised so far")


def _rendered(
    path: Path, renderer: Renderer, config: DataConfig, counts: Counts
) -> Iterator[Rendered]:
    for line in lines(path):
        try:
            yield renderer.render(sample(line.data))
        except BadSampleError as error:
            if config.bad_lines == "stop":
                raise ConfigError(
                    f"{path}:{line.number}: {error}. To go on without such lines: "
                    "`data.bad_lines: skip`"
                ) from error
            counts.skipped += 1
            if len(counts.first_skipped) < _NAMED:
                counts.first_skipped.append(f"{line.number}: {error}")


def _tokens(
    texts: Sequence[Rendered], tokenizer: PreTrainedTokenizerBase, bare: bool
) -> Iterator[Tokens]:
    encoded: Any = tokenizer(
        [each.text for each in texts],
        add_special_tokens=bare,
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,
    )
    end: Any = tokenizer.eos_token_id
    for each, ids, offsets in zip(
        texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        learnt = _learnt(offsets, each.learnt)
        if each.ends:
            if ids[-1:] != [end]:  # some tokenizers write it themselves
                ids.append(end)
            learnt[len(ids) - 1 :] = [True]
        learnt[:1] = [False][: len(ids)]
        labels = [
            token if known else UNSUPERVISED for token, known in zip(ids, learnt, strict=True)
        ]
        yield Tokens(ids, labels)


def _learnt(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Tell of each token whether it belongs to one of the spans, which are in order.

    Byte-level tokenizers may trim blanks off their offsets, to their end: a token of blanks only
    then stands, empty, where it ends.
    """
    learnt = []
    current = 0
    for start, end in offsets:
        inside = end - 1 if start == end else start
        while current < len(spans) and spans[current][1] <= inside:
            current += 1
        learnt.append(current < len(spans) and spans[current][0] <= inside)
    return learnt


def _fit(tokens: Tokens, config: DataConfig, counts: Counts) -> Tokens | None:
    """Return the document cut to its length; None: it is dropped."""
    long = len(tokens.input_ids) > config.max_length
    if long and config.long_samples == "drop":
        counts.too_long += 1
        return None
    if long:
        cut = slice(config.max_length)
        tokens = Tokens(tokens.input_ids[cut], tokens.labels[cut])
    if all(label == UNSUPERVISED for label in tokens.labels):
        counts.unsupervised += 1
        return None
    counts.truncated += long
    counts.kept += 1
    return tokens
