"""What `import slurmkit` offers."""

from __future__ import annotations

from slurmkit.render.script import render
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import load
from slurmkit.spec.model import JobSpec

__all__ = ["JobSpec", "SpecError", "load", "render"]
