"""A job as text: the batch script. Pure functions: the same job gives the same bytes."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


class _Room(ModuleType):
    """Makes `slurmkit.render(spec)` work, although `slurmkit.render` is also this package.

    Importing a package sets it as an attribute of the one above, over any function of that name.
    """

    def __call__(self, spec: JobSpec) -> str:
        """Return the sbatch script of a job."""
        from slurmkit.render.script import render

        return render(spec)


sys.modules[__name__].__class__ = _Room
