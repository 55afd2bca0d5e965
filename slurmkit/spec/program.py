"""The programs that come with slurmkit: their modules, and the models of their configs.

The config of `slurmkit.train.NAME` is `NameConfig` in slurmkit/train/NAME/config.py, which imports
no torch. It is imported for a job that names the program, and for no other job.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from slurmkit.spec.model import JobSpec

PACKAGE = "slurmkit.train."


_FOLDER = FilePath(__file__).parents[1] / "train"


def programs() -> list[str]:
    """Return the modules that a job may name, such as `slurmkit.train.finetune`."""
    return [PACKAGE + file.parent.name for file in sorted(_FOLDER.glob("*/config.py"))]


def is_wrapper(module: str) -> bool:
    """Tell whether it is a module of ours that runs another program, as submitit's tasks do."""
    folder = _FOLDER / module.removeprefix(PACKAGE)
    return (folder / "__main__.py").exists() and not (folder / "config.py").exists()


def config_model(module: str) -> type[BaseModel]:
    """Return the model of a program's config; `module` is one of `programs()`."""
    words = module.removeprefix(PACKAGE).split("_")
    name = "".join(word.capitalize() for word in words) + "Config"
    model: type[BaseModel] = getattr(import_module(f"{module}.config"), name)
    return model


def has_own_config(spec: JobSpec) -> bool:
    """Tell whether the job's program is one of ours, and reads entrypoint.config.

    Arguments may name a file instead, which is not read here.
    """
    entry = spec.entrypoint
    return entry.module in programs() and (entry.config is not None or not entry.args)


def program_config(spec: JobSpec) -> Any:
    """Return the config of a checked job as its program's model; of a sweep that of point 0.

    None for a program of the user's own, and for a config with values that the node fills in.
    """
    from pydantic import ValidationError

    if not (spec.entrypoint.module or "").startswith(PACKAGE):
        return None
    if spec.sweep:
        from slurmkit.spec.sweep import at_point

        spec = at_point(spec, 0)
    if not has_own_config(spec):
        return None
    try:
        return config_model(spec.entrypoint.module or "").model_validate(spec.entrypoint.config)
    except ValidationError:
        return None
