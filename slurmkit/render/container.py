"""The words that put a step into its container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.render import quoting
from slurmkit.spec.fields import references

if TYPE_CHECKING:
    from slurmkit.spec.model import Container, JobSpec


def srun_options(spec: JobSpec) -> list[str]:
    """Return the options that pyxis adds to srun, quoted for bash; none for other runtimes.

    The start directory, in which the run directory lies, is mounted at the same path.
    Source: args.c of NVIDIA/pyxis.
    """
    container = spec.container
    if container is None or container.runtime != "pyxis":
        return []
    image = container.image
    if image.endswith(".sqsh") and not image.startswith(("/", ".", "~", "$")):
        image = f"./{image}"  # else pyxis asks a registry for it
    return [
        f"--container-image={quoting.path_word(image, 'container.image')}",
        '--container-mounts="$mounts"',
        '--container-workdir="$PWD"',
        *_options(container),
    ]


def command(spec: JobSpec) -> list[str]:
    """Return the command that starts the container on a node, a line of quoted words each.

    Newer ones say --cwd for --pwd, and know both; singularity knows --pwd.
    Source: `apptainer help exec` of 1.4.5.
    """
    container = spec.container
    if container is None or container.runtime == "pyxis":
        return []
    options = _options(container)
    if spec.resources.gpus_per_node and not {"--rocm", "--nv", "--nvccli"} & set(options):
        options = ["--nv", *options]
    image = quoting.path_word(container.image, "container.image")
    binds = [f"--bind={mount}" for mount in mounts(spec)]
    start = f'{container.runtime} exec --bind="$PWD" --pwd="$PWD"'
    return [start, *binds, *options, image]


def mounts(spec: JobSpec) -> list[str]:
    """Return the mounts as quoted words SOURCE:TARGET[:FLAGS]; pyxis knows no shorter form."""
    words = []
    for index, mount in enumerate(spec.container.mounts if spec.container else []):
        word = quoting.path_word(mount, f"container.mounts[{index}]")
        whole = any(":" in literal for literal, _, _ in references(mount))
        words.append(word if whole else f"{word}:{word}")
    return words


def _options(container: Container) -> list[str]:
    return [
        quoting.node_word(text, f"container.options[{index}]")
        for index, text in enumerate(container.options)
    ]
