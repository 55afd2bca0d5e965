"""A launcher's environment variables: read as numbers, refused with a reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_SPECIAL_STEP = 0xFFFFFFF0  # Slurm numbers its batch and interactive steps from here on
START_FIX = (
    "start one process a GPU with `launcher.kind: srun`, or one agent a node with "
    "`launcher.kind: torchrun`; by hand, export MASTER_ADDR (the first node's name) and "
    "MASTER_PORT in the batch script and leave RANK and WORLD_SIZE to the launcher"
)
"""What to do when the ranks were started without what they need to meet."""


class DistributedError(RuntimeError):
    """The processes of a job cannot form one world: what happened, where, and what to do."""

    def __init__(self, what: str, where: str, fix: str) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(f"{what}\n  where: {where}\n  fix: {fix}")

    def __reduce__(self) -> tuple[type[DistributedError], tuple[str, str, str]]:
        return type(self), (self.what, self.where, self.fix)


class Variables:
    """The environment, with the reading and refusing that every launcher needs."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def get(self, name: str) -> str:
        """Return a variable, or an empty text if it is unset."""
        return self._environment.get(name, "")

    def has(self, *names: str) -> bool:
        """Tell whether all of these are set to something."""
        return all(self.get(name) for name in names)

    def number(self, name: str, *others: str) -> int:
        """Return the first of these variables that is set, as a number."""
        name = next((each for each in (name, *others) if self.has(each)), name)
        text = self.get(name)
        if not text:
            self.refuse(f"{name} is not set", f"export {name}, or let torchrun or srun set it")
        if not re.fullmatch(r"[0-9]{1,10}", text):
            self.refuse(f"{name}={text!r} is not a whole number", f"correct or unset {name}")
        return int(text)

    def in_step(self) -> bool:
        """Tell a task that srun started from the batch script or an interactive shell."""
        if not self.has("SLURM_PROCID", "SLURM_STEP_ID"):
            return False
        step = self.get("SLURM_STEP_ID")
        return not step.startswith("-") and self.number("SLURM_STEP_ID") < _FIRST_SPECIAL_STEP

    def tasks(self) -> int:
        """Return the number of tasks: the step's, which srun may have asked for itself."""
        return self.number("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS")

    def nodes(self) -> int:
        """Return the number of nodes: the step's, or the job's."""
        names = ("SLURM_STEP_NUM_NODES", "SLURM_JOB_NUM_NODES", "SLURM_NNODES")
        return self.number(*names) if any(map(self.has, names)) else 1

    def master(self) -> tuple[str, int]:
        """Return the address and port where rank 0 listens."""
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if not self.has(name)]
        if missing:
            self.refuse(f"{' and '.join(missing)} not set: the ranks cannot meet", START_FIX)
        return self.get("MASTER_ADDR"), self.port()

    def port(self) -> int:
        """Return MASTER_PORT."""
        port = self.number("MASTER_PORT")
        if not 0 < port < 65536:
            self.refuse(f"MASTER_PORT={port} is no port", "choose one between 15000 and 31999")
        return port

    def refuse(self, what: str, fix: str) -> NoReturn:
        """Raise the error, with the place that Slurm's variables name."""
        node = self.get("SLURMD_NODENAME")
        task = self.get("SLURM_PROCID")
        places = [f"node {node}" if node else "", f"task {task}" if task else ""]
        raise DistributedError(what, ", ".join(filter(None, places)) or "this process", fix)
