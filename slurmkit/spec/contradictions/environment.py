"""An environment that two things would set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.spec.contradictions.found import Contradiction
from slurmkit.spec.reserved import reserved

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


def environment(spec: JobSpec) -> Iterator[Contradiction]:
    """Find two Pythons, reserved variables, and variables that are kept out of the job."""
    environment = spec.environment
    each = ("venv", "conda", "python")
    pythons = [name for name in each if getattr(environment, name) is not None]
    for name in pythons[1:]:
        fix = f"keep one, and write {name}: null to drop what a profile says: each brings a Python"
        yield Contradiction(("environment", name), f"{name} together with {pythons[0]}", fix)
    for name in environment.variables:
        if owner := reserved(name):
            path = ("environment", "variables", name)
            yield Contradiction(path, "not yours to set", owner)
    if (environment.conda or "").startswith("-"):
        what, fix = "an option where a name belongs", "write the environment's name or path"
        yield Contradiction(("environment", "conda"), what, fix)
    for index, name in enumerate(environment.pass_):
        if name in environment.variables:
            fix = "keep it in pass if it is a secret, else in variables"
            what = f"{name} is in variables too"
            yield Contradiction(("environment", "pass", index), what, fix)
    exported = spec.sbatch.get("export", "ALL").split(",")
    kept = [name for name in environment.pass_ if name not in exported]
    if kept and "ALL" not in exported:
        yield Contradiction(
            ("sbatch", "export"),
            f"keeps {', '.join(kept)}, which environment.pass takes along, out of the job",
            f"leave export out, or write export: {','.join(environment.pass_)}",
        )
