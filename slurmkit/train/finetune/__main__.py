"""``python -m slurmkit.train.finetune [--config FILE]``."""

from __future__ import annotations

import sys

from slurmkit.train import stop
from slurmkit.train.entrypoint import run
from slurmkit.train.finetune import main

if __name__ == "__main__":
    stop.listen()  # to the end: a second TERM must not undo a clean way out
    sys.exit(run(main, "slurmkit.train.finetune"))
