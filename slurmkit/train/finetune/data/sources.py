"""Which files `data.dataset_path` and `data.eval_dataset_path` mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.train.config_file import ConfigError
from slurmkit.train.finetune import tiny

if TYPE_CHECKING:
    from slurmkit.train.finetune.config import DataConfig

_EVALUATION = ("eval.jsonl", "validation.jsonl")


@dataclass(frozen=True)
class Sources:
    """The JSONL files."""

    train: Path
    """For training."""
    evaluation: Path | None
    """For evaluation; None: a part of the other is held out."""


def find(config: DataConfig) -> Sources:
    """Return the files; a tiny data set is made where there is none yet.

    Raises:
        ConfigError: a file is not there.
    """
    count = tiny.number_of_samples(config.dataset_path)
    if count is None:
        path = Path(config.dataset_path).expanduser()
    else:
        path = tiny.data(count, tiny.directory())
    beside: list[Path] = []
    if path.is_dir():
        beside = [path / name for name in _EVALUATION if (path / name).is_file()]
        path = path / "train.jsonl"
    given = Path(config.eval_dataset_path).expanduser() if config.eval_dataset_path else None
    for field, each in (("dataset_path", path), ("eval_dataset_path", given)):
        if each is not None and not each.is_file():
            what = "is a directory" if each.is_dir() else "is not there"
            raise ConfigError(
                f"{each} {what}: give `data.{field}` a JSONL file that every node can read"
                + (", or a directory that holds train.jsonl" if field == "dataset_path" else "")
            )
    return Sources(path, given or next(iter(beside), None))
