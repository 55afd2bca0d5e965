"""``python -m slurmkit.train.finetune [--config FILE]``."""

from __future__ import annotations

import sys

from slurmkit.train.entrypoint import run
from slurmkit.train.finetune import main

if __name__ == "__main__":
    sys.exit(run(main, "slurmkit.train.finetune"))
