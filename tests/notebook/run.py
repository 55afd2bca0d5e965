"""Run a notebook from top to bottom in a kernel of its own: python -m tests.notebook.run FILE.

It is written back with its outputs. The kernel starts where this process does: on the login host
of the test bed, from where sbatch reaches Slurm.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


def main() -> None:
    """Run it in the present directory."""
    path = Path(sys.argv[1])
    files: Any = nbformat  # which has no types
    notebook = files.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", record_timing=False, resources={}
    ).execute()
    files.write(notebook, path)


if __name__ == "__main__":
    main()
