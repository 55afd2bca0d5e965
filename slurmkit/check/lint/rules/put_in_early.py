"""The rule on what the shell puts into a script that it hands to sbatch, too early (SK616)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.finding import Severity
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule
from slurmkit.check.script.read import Script
from slurmkit.check.script.variables import is_assigned
from slurmkit.check.script.words import Piece

_OF_A_JOB = re.compile(
    r"\b(SLURM_(?:JOB_?ID|(?:JOB_)?NODELIST|JOB_NUM_NODES|N?NODES|NODEID|PROCID|LOCALID|NTASKS\w*"
    r"|NPROCS|(?:JOB_)?GPUS_?\w*|CPUS_PER_TASK|CPUS_ON_NODE|ARRAY_\w+|STEP_\w+|SUBMIT_DIR"
    r"|JOB_CPUS_PER_NODE|JOB_NAME|JOB_PARTITION|RESTART_COUNT))\b"
)

_MEETING = re.compile(r"NODELIST|NODEID|PROCID|LOCALID")
"""What the processes find each other by: without it the job hangs or dies at once."""


@rule("SK616")
def put_in_early(job: Job) -> Iterator[Found]:
    """`sbatch <<EOT` with `$(scontrol show hostnames $SLURM_JOB_NODELIST)`."""
    script = job.script
    if script.batch.text.origins is not None or _is_in_a_job(script):
        return
    for inner in script.inner:
        told: set[str] = set()
        for piece in inner.batch.text.placeholders:
            match = _OF_A_JOB.search(piece.text if piece.default is None else "")
            if match is None or match[1] in told or is_assigned(match[1], piece.shell):
                continue
            told.add(match[1])
            what = f"{_shown(piece, match[1])} is put in by the shell that calls sbatch, where "
            what += "there is no job yet"
            severity: Severity | None = "error" if _MEETING.search(match[1]) else None
            yield job.found("SK616", piece.span, what, severity=severity)


def _is_in_a_job(script: Script) -> bool:
    """Tell whether the script that calls sbatch runs in a job itself."""
    has_steps = any(layers.srun is not None for layers in script.layers.values())
    return bool(script.directives.lines) or has_steps


def _shown(piece: Piece, name: str) -> str:
    if piece.kind == "variable":
        return f"${name}"
    return f"`$((… {name} …))`" if piece.kind == "arithmetic" else f"`$(… {name} …)`"
