"""slurmkit: describe a multi-node PyTorch job once, and run it on Slurm.

import slurmkit

spec = slurmkit.load("job.yaml")
script = slurmkit.render(spec)
job = spec.submit()
job.wait()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slurmkit.api import (
        Job,
        JobFailedError,
        JobSpec,
        SlurmError,
        SpecError,
        State,
        UnknownJobError,
        load,
        render,
    )

__version__ = "0.1.0"
__all__ = [
    "Job",
    "JobFailedError",
    "JobSpec",
    "SlurmError",
    "SpecError",
    "State",
    "UnknownJobError",
    "load",
    "render",
]


def __getattr__(name: str) -> Any:
    # Imported on first use: `slurmkit --help` and the train/ programs need none of it.
    if name in __all__:
        value = getattr(import_module("slurmkit.api"), name)
        return globals().setdefault(name, value)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
