"""The options of torchrun and of `accelerate launch` that a job comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.render import quoting

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_PLUGINS = ("use_deepspeed", "use_fsdp", "use_megatron_lm")
"""Each stands in the place of accelerate's --multi_gpu, which stands for DDP, on CPU as well."""


def options(spec: JobSpec) -> list[str]:
    """Return the launcher's own options, quoted for bash."""
    said = dict(spec.launcher.options)
    if spec.launcher.kind == "accelerate":
        said = _accelerate(said, spec.world_size > 1) | said
    return [_option(name, value) for name, value in said.items() if value != "false"]


def rendezvous(spec: JobSpec) -> str:
    """Return the rendezvous; on a single node accelerate has c10d at port 29400 only."""
    single = spec.launcher.kind == "accelerate" and spec.resources.nodes == 1
    return "static" if single else spec.launcher.rendezvous


def on_cpu(spec: JobSpec) -> bool:
    """Return whether accelerate has to be told that there are no GPUs."""
    return not spec.resources.gpus_per_node and (
        "ACCELERATE_USE_CPU" not in spec.environment.variables
    )


def _option(name: str, value: str) -> str:
    if value == "true":
        return f"--{name}"
    return f"--{name}={quoting.path_word(value, f'launcher.options.{name}')}"


def _accelerate(said: dict[str, str], multi_process: bool) -> dict[str, str]:
    """Return what else to say, so that accelerate neither guesses nor warns.

    A config file says it all: an option would overrule it.
    """
    names = {name.replace("-", "_") for name in said}
    if "config_file" in names:
        return {}
    more = {"mixed_precision": "no", "dynamo_backend": "no"}
    if multi_process and not names & set(_PLUGINS):
        more["multi_gpu"] = "true"
    if "use_deepspeed" in names:  # its own launcher would go to the nodes by pdsh
        more["deepspeed_multinode_launcher"] = "standard"
    return {name: value for name, value in more.items() if name not in names}
