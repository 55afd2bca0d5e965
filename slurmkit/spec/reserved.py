"""Names of environment variables that a job may not set, because something else does."""

from __future__ import annotations

_BASH = {"BASHOPTS", "BASHPID", "BASH_VERSINFO", "EUID", "GROUPS", "PPID", "SHELLOPTS", "UID"}
_BASH |= {"IFS", "POSIXLY_CORRECT"}
_RANKS = {"RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "NODE_RANK"}
_RANKS |= {"WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"}
_SCRIPT = {"code", "end", "id", "name", "nodes", "number", "out_of_time", "python", "restart"}
_SCRIPT |= {"signalled", "state", "step", "watch", "agent", "left", "log", "marks", "text"}


def reserved(name: str) -> str | None:
    """Say who sets the variable `name` of a job; None if it is the user's."""
    if name.startswith(("SLURM_", "SLURMD_", "SRUN_", "SBATCH_")):
        return "Slurm sets it; options of the step go under launcher.srun"
    if name.startswith("SLURMKIT_") or name in _SCRIPT:
        return "the batch script uses this name itself; choose another"
    if name in ("MASTER_ADDR", "MASTER_PORT"):
        return "it follows from the allocation (launcher.port fixes the port); drop it"
    if name in _RANKS:
        return "the launcher sets it in every process; drop it"
    return "bash keeps this name for itself; choose another" if name in _BASH else None
