"""``python -m slurmkit.train.all_reduce [--config FILE]``."""

from __future__ import annotations

import sys

from slurmkit.train.all_reduce import main
from slurmkit.train.entrypoint import run

if __name__ == "__main__":
    sys.exit(run(main, "slurmkit.train.all_reduce"))
