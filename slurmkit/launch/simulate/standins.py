"""Put the stand-ins for Slurm's commands first, wherever the script then looks."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.errors import SimulationError

if TYPE_CHECKING:
    from slurmkit.launch.simulate.cluster import Cluster

COMMANDS = ("srun", "scontrol", "squeue", "scancel", "sbatch")
_SHEBANG = "#!/bin/bash -p"
"""Other shells (dash) drop exported functions from the environment; -p does not read BASH_ENV."""
_MODULES = 'module() { echo "slurmkit simulate: module $*: skipped" >&2; }; ml() { module "$@"; }'
"""What modules bring must be there already, those of environment.setup like the job's own."""
_PACKAGES = Path(__file__).resolve().parents[3]


def work_directory() -> Path:
    """Return a new temporary directory from which programs may be run.

    Some sites mount /tmp without leave to run anything there.
    """
    places = [Path(tempfile.gettempdir()), Path.home() / ".cache"]
    for place in places:
        if place.is_dir() and not os.statvfs(place).f_flag & os.ST_NOEXEC:
            return Path(tempfile.mkdtemp(prefix="slurmkit-simulate-", dir=place))
    raise SimulationError(
        f"no programs may be run in {' or '.join(map(str, places))}: "
        "set TMPDIR to a directory that is not mounted with noexec"
    )


def python_command(module: str) -> list[str]:
    """Return the command that runs a module's `main` in the shortest start-up Python has."""
    code = (
        f"import sys; sys.path.insert(0, {str(_PACKAGES)!r}); "
        f"from slurmkit.launch.simulate.{module} import main; main()"
    )
    return [sys.executable, "-I", "-S", "-c", code]


def write_standins(cluster: Cluster) -> dict[str, str]:
    """Write the stand-ins; return the variables that make a script find them.

    They are first on PATH, and aliases in every bash: the script itself puts a directory in front
    (that of Python, /usr/bin perhaps, where Slurm's own commands may be). SLURM_CONF names a file
    that does not exist: should a command of Slurm be reached all the same, it fails.
    """
    for name in COMMANDS:
        program = cluster.programs / name
        program.write_text(f'{_SHEBANG}\nexec {shlex.join(python_command(name))} "$@"\n')
        program.chmod(0o755)
    aliases = [
        f"alias {name}={shlex.quote(shlex.quote(str(cluster.programs / name)))}"
        for name in COMMANDS
    ]
    start = ["shopt -s expand_aliases", *aliases, _MODULES]
    if own := os.environ.get("BASH_ENV"):
        start.append(f"[ ! -r {shlex.quote(own)} ] || . {shlex.quote(own)}")
    start_file = cluster.directory / "bash_env"
    start_file.write_text("\n".join(start) + "\n")
    return {
        "BASH_ENV": str(start_file),
        "PATH": f"{cluster.programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "SLURM_CONF": str(cluster.directory / "no-slurm-in-a-simulation"),
    }
