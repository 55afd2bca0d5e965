"""The gallery: templates of job files, and profiles of public clusters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from slurmkit.render.templates import syntax, templates_directory

if TYPE_CHECKING:
    from jinja2 import Environment


class Start(NamedTuple):
    """A template of a job file."""

    about: str
    gpus: bool = True
    time: str = "12:00:00"


STARTS = {
    "torchrun": Start("Your script on the GPUs of two nodes, one process a GPU, under torchrun."),
    "cpu": Start("A small job on CPUs alone: a first try of script and cluster.", False, "10:00"),
    "lightning": Start("A PyTorch Lightning script: one task a GPU, and it requeues itself."),
    "accelerate": Start("A script of Hugging Face Accelerate, under accelerate launch."),
    "requeue": Start("A run that comes back after its time limit, or preemption.", time="24:00:00"),
    "container": Start("Your script in a container of pyxis or Apptainer."),
    "finetune": Start("LoRA of a large language model on your own samples, without a script."),
}  # fmt: skip
"""The templates by name, in the order in which a newcomer reads them."""


def profiles() -> dict[str, str]:
    """Return the profiles of the gallery and what each is, from its first line."""
    found = {}
    for path in sorted((templates_directory() / "profiles").glob("*.yaml")):
        with path.open(encoding="utf-8") as file:
            found[path.stem] = file.readline().lstrip("# ").strip()
    return found


def profile_path(name: str) -> Path:
    """Return the file of a profile of the gallery."""
    return templates_directory() / "profiles" / f"{name}.yaml"


def fill(name: str, values: Mapping[str, Any]) -> str:
    """Fill a template of `templates/init/`."""
    return _environment().get_template(f"{name}.yaml.j2").render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader

    from slurmkit.init.resources import line, scalar

    loader = FileSystemLoader(templates_directory() / "init")
    environment = Environment(loader=loader, **syntax())  # noqa: S701  see `syntax`
    environment.filters["yaml"] = scalar
    environment.globals["line"] = line
    return environment
