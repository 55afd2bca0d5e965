"""The demo job: does every rank reach every other, and how fast?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Add numbers over all ranks, check the sum, and measure the all-reduce bandwidth.

    Args:
        config: the fields of `slurmkit.train.all_reduce.config.AllReduceConfig`.

    Returns:
        What was measured, the same on every rank.
    """
    from slurmkit.train.all_reduce.config import AllReduceConfig
    from slurmkit.train.config_file import check_config

    checked = check_config(AllReduceConfig, config or {})
    from slurmkit.train.all_reduce.demo import run

    return run(checked)
