"""Run docs/notebook.ipynb anew and keep its outputs: python -m tests.notebook.refresh, as root."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.notebook.clean import cleaned, run, write
from tests.testbed.cluster import SlurmCluster

if __name__ == "__main__":
    with SlurmCluster() as slurm, tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write(cleaned(run(slurm, work), work))
