"""What this machine has to share out among pretend nodes."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Machine:
    """CPUs and GPUs that this process may use."""

    cpus: int
    gpus: list[str] = field(default_factory=list)
    """By the names that CUDA_VISIBLE_DEVICES takes."""


def this_machine(*, with_gpus: bool) -> Machine:
    """Return this machine's means; its GPUs are looked for only where a job asks for some."""
    return Machine(len(os.sched_getaffinity(0)), _gpus() if with_gpus else [])


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()
