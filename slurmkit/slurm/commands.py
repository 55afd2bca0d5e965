"""The only place that runs Slurm's commands: each gives its text, or None where it cannot."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 5.0
"""Seconds. Slurm's own commands wait up to minutes for a controller that is away."""

_NODES = ("sinfo", "--noheader", "--exact", "--format=%P|%a|%l|%s|%D|%c|%G|%T")
_CONFIG = ("scontrol", "show", "config")
_ASSOCIATIONS = "format=Cluster,Account,DefaultAccount"


def describe_cluster(user: str) -> tuple[str | None, str | None, str | None]:
    """Ask for the partitions and their nodes, the configuration, and the accounts of a user."""
    accounts = (
        *("sacctmgr", "--noheader", "--parsable2", "show", "user", user),
        *("withassoc", _ASSOCIATIONS),
    )
    nodes, config, known = ask(_NODES, _CONFIG, accounts)
    return nodes, config, known


def has_pyxis() -> bool:
    """Tell whether srun has the options of pyxis, which is a plug-in of the site's."""
    (options,) = ask(("srun", "--help"))
    return "--container-image" in (options or "")


def ask(*commands: Sequence[str], patience: float = PATIENCE) -> list[str | None]:
    """Run commands side by side; give what each wrote to standard output.

    None stands for a command that is not there, failed, or took longer than `patience` seconds.
    """
    with ThreadPoolExecutor(len(commands)) as threads:
        return list(threads.map(lambda command: _output(command, patience), commands))


def _output(command: Sequence[str], patience: float) -> str | None:
    # SINFO_FORMAT and its like would change the answer.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SINFO_")}
    try:
        ran = subprocess.run(
            command,
            env={**kept, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=patience,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.decode(errors="replace")
