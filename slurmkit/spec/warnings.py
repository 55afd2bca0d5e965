"""What is legal in a job and probably not meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_SECRET = re.compile(r"(^|_)(token|secret|password|passwd|api_?key|access_?key|credentials?)(_|$)", re.I)


def warnings(spec: JobSpec) -> list[str]:
    """Return one line for each thing that a careful colleague would ask about."""
    found = [
        f"environment.variables.{name} looks like a secret and would stand in the script: "
        f"write `pass: [{name}]` under environment instead"
        for name, value in spec.environment.variables.items()
        if _SECRET.search(name) and value and not value.startswith("${env:")
    ]
    found += [f"{field}: {path} does not exist here" for field, path in missing_paths(spec)]
    resources = spec.resources
    if resources.gpus_per_node > spec.processes_per_node:
        idle = resources.gpus_per_node - spec.processes_per_node
        found.append(f"resources.processes_per_node: no process for {idle} of the GPUs of each node")
    if spec.preflight:
        found.append("preflight: this version of slurmkit does not run preflight checks")
    return found


def missing_paths(spec: JobSpec) -> list[tuple[str, Path]]:
    """Return the fields that name a file or directory which does not exist on this machine.

    Relative paths start where slurmkit is called, as they do in Slurm; or at `sbatch.chdir`.
    """
    start = Path(spec.sbatch.get("chdir", "."))
    named = {
        "entrypoint.script": spec.entrypoint.script,
        "environment.venv": spec.environment.venv,
        "environment.python": spec.environment.python,
    }
    found = []
    for field, text in named.items():
        if text is None or "${" in text:
            continue
        path = start / Path(text).expanduser()
        if not path.exists():
            found.append((field, path))
    return found
