"""Tokenised files, kept on disk under a name that says what they were made from.

An entry is a directory: `tokens.arrow`, mapped into memory by `datasets`, and `entry.json`. It
appears whole or not at all; one that was damaged later is made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from array import array
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune.data.tokenise import UNSUPERVISED, Counts, tokenise
from slurmkit.train.finetune.publish import publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from slurmkit.train.finetune.config import DataConfig

_FORMAT = 1
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A tokenised file."""

    documents: Dataset
    """Columns: input_ids, labels, length (tokens) and supervised (those to be learnt)."""
    counts: Counts
    """What became of the file's lines."""
    digest: str
    """Of all tokens and labels."""


def prepare(
    path: Path,
    tokenizer: PreTrainedTokenizerBase,
    config: DataConfig,
    cache: Path,
    tell: Callable[[str], None],
) -> Path:
    """Return the directory of a file's entry; make it if it is not there, or not whole.

    Args:
        path: the JSONL file.
        tokenizer: a fast one, with the chat template that is to be used.
        config: its choices are part of the entry's name.
        cache: where entries are kept; several processes may do so at once.
        tell: is told what is going on.

    Raises:
        ConfigError: a line is wrong, a file cannot be read or the cache cannot be written.
    """
    entry = cache / _key(path, tokenizer, config)
    if entry.exists() and read(entry) is None:
        tell(f"data: {entry} is damaged: made anew")
        _remove(entry)
    if not entry.exists():
        tell(f"data: tokenising {path}")
        try:
            publish(entry, lambda part: _write(part, path, tokenizer, config, tell))
        except OSError as error:
            raise ConfigError(
                f"{entry}: the tokenised data cannot be written ({error.strerror or error}): make "
                "room there, or give another directory as `data.cache_dir`"
            ) from error
    return entry


def read(entry: Path) -> Entry | None:
    """Return an entry; None if it is not whole."""
    from datasets import Dataset

    try:
        about = json.loads((entry / "entry.json").read_text("utf-8"))
        documents = Dataset.from_file(str(entry / "tokens.arrow"))
        counts = Counts(**about["counts"])
    except Exception:  # whatever is damaged, it is made anew
        return None
    return Entry(documents, counts, about["digest"]) if len(documents) == counts.kept else None


def _write(
    part: Path,
    path: Path,
    tokenizer: PreTrainedTokenizerBase,
    config: DataConfig,
    tell: Callable[[str], None],
) -> None:
    from datasets import Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    number = Value("int32")
    features = Features(
        input_ids=List(number), labels=List(number), length=number, supervised=number
    )
    counts, digest = Counts(), hashlib.sha256()
    with ArrowWriter(path=str(part / "tokens.arrow"), features=features) as writer:
        for each in tokenise(path, tokenizer, config, counts, tell):
            supervised = sum(label != UNSUPERVISED for label in each.labels)
            row = asdict(each) | {"length": len(each.input_ids), "supervised": supervised}
            digest.update(array("i", [row["length"], *each.input_ids, *each.labels]).tobytes())
            writer.write(row)
        writer.finalize()
    about = {"counts": asdict(counts), "digest": digest.hexdigest()}
    (part / "entry.json").write_text(json.dumps(about), encoding="utf-8")


def _remove(entry: Path) -> None:
    aside = entry.with_name(f".{entry.name}.{uuid.uuid4().hex}.part")
    try:
        entry.rename(aside)
    except FileNotFoundError:  # another process was faster
        return
    shutil.rmtree(aside, ignore_errors=True)


def _key(path: Path, tokenizer: Any, config: DataConfig) -> str:
    made_from = {
        "format": _FORMAT,
        "file": _sha256(path),
        "tokenizer": hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "special": tokenizer.special_tokens_map,
        "chat_template": tokenizer.chat_template,
        "choices": config.model_dump(include={"max_length", "long_samples", "bad_lines"}),
    }
    text = json.dumps(made_from, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: give an existing JSONL file") from error
    return digest.hexdigest()
