"""Fine-tune a causal language model with LoRA, sharded over nodes, and survive what may come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(config: Mapping[str, Any]) -> dict[str, Any]:
    """Train, evaluate, save; or continue where an earlier run of the job was stopped.

    Args:
        config: the fields of `slurmkit.train.finetune.config.FinetuneConfig`.

    Returns:
        How it ended: state, step, losses. The same on every rank.
    """
    from slurmkit.train.config_file import check_config
    from slurmkit.train.finetune.config import FinetuneConfig

    checked = check_config(FinetuneConfig, config)
    from slurmkit.train.finetune.run import run

    return run(checked)
