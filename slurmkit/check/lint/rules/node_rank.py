"""The rule on launches over several nodes of which each takes itself for the first (SK615)."""

from __future__ import annotations

from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Found, rule
from slurmkit.check.lint.shape import (
    asks_which_task,
    backend,
    has_variable,
    is_many,
    is_open,
    launcher_nodes,
    may_hold_more,
    node_option,
)
from slurmkit.check.script.launches import Launch

_TORCHRUN = ("torchrun", "torch.distributed.launch")
_GIVEN = ("node-rank", "machine-rank", "standalone", "rdzv-conf", "config-file")
_OTHER_WAYS = ("use-deepspeed", "deepspeed-config-file", "deepspeed-multinode-launcher", "tpu")
"""Of accelerate: launchers that reach the other nodes themselves."""


@rule("SK615")
def no_node_rank(job: Job) -> Iterator[Found]:
    """`srun torchrun --nnodes=2 --master_addr=…` without `--node_rank`."""
    if job.is_het:
        return
    for launch in job.launches:
        if launch.kind not in (*_TORCHRUN, "accelerate") or launch.through not in (
            "srun",
            "mpirun",
        ):
            continue
        if launch.option(*_GIVEN, *_OTHER_WAYS) is not None or backend(launch) != "static":
            continue
        if not _is_for_several(job, launch) or not is_many(job, launch):
            continue
        if is_open(launch) or may_hold_more(job, launch) or asks_which_task(launch):
            continue
        name = "--machine_rank" if launch.kind == "accelerate" else "--node_rank"
        if name == "--node_rank" and has_variable(job, launch, "PET_NODE_RANK"):
            continue
        what = f"no {name}, and nothing else hands out the ranks: every node is node 0"
        yield job.found("SK615", launch.span, what)


def _is_for_several(job: Job, launch: Launch) -> bool:
    count = launcher_nodes(job, launch)
    return node_option(launch) is not None and (count is None or count > 1)
