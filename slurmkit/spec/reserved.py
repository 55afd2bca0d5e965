"""Names of variables and launcher options that a job may not set, because something else does."""

from __future__ import annotations

_BASH = {"BASHOPTS", "BASHPID", "BASH_VERSINFO", "EUID", "GROUPS", "PPID", "SHELLOPTS", "UID"}
_BASH |= {"IFS", "POSIXLY_CORRECT"}
_RANKS = {"RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "NODE_RANK"}
_RANKS |= {"WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"}
_SCRIPT = {"code", "end", "id", "name", "nodes", "number", "out_of_time", "python", "restart"}
_SCRIPT |= {"signalled", "state", "step", "watch", "agent", "left", "log", "marks", "text"}
_SCRIPT |= {"inside", "mounts", "hook", "file", "files", "moved"}
_SCRIPT |= {"sweep", "point", "table", "words"}

_MEETING = {"master_addr", "master_port", "main_process_ip", "main_process_port", "same_network"}
_MEETING |= {"rdzv_backend", "rdzv_endpoint", "rdzv_id", "rdzv_conf", "local_addr", "standalone"}
_SHAPE = {"nnodes", "nproc_per_node", "node_rank", "num_machines", "num_processes", "machine_rank"}
_OWN = sorted(_MEETING | _SHAPE | {"max_restarts", "no_python", "module", "signals_to_handle"})
"""Looked for by their beginnings as well: argparse takes `--nnode` for `--nnodes`."""


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


def reserved_option(kind: str, name: str) -> str | None:
    """Say what sets the option `name` (with underscores) of a launcher; None if it is the user's.

    Args:
        kind: torchrun or accelerate.
        name: long name without dashes in front.
    """
    name = next((full for full in _OWN if full.startswith(name) and len(name) > 1), name)
    if name in _MEETING:
        return "it follows from the allocation and launcher.rendezvous; drop it"
    if name in _SHAPE:
        return "it follows from resources (nodes, gpus_per_node, processes_per_node); drop it"
    if name == "max_restarts":
        return "torchrun cannot restart over several nodes; write launcher.restarts"
    if name in ("no_python", "module", "m"):
        return "write the program under entrypoint"
    if name == "cpu" and kind == "accelerate":
        return "write resources.gpus_per_node: 0"
    return "the batch script passes signals on; drop it" if name == "signals_to_handle" else None
