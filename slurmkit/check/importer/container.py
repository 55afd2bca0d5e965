"""pyxis' options of srun, and `apptainer exec`, into `container`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.values import Values
from slurmkit.check.script.launches import Launch, around
from slurmkit.check.script.layers import CONTAINERS, Layers, program_name
from slurmkit.check.script.read import Script
from slurmkit.check.script.shell import Command
from slurmkit.check.script.words import Word, joined

PYXIS = ("container-", "no-container-")
_RUNTIMES = ("apptainer", "singularity")
OTHERS = tuple(name for name in CONTAINERS if name not in _RUNTIMES)
_VERBS = ("exec", "run")
_BINDS = ("--bind", "-B")
_DIRECTORY = ("--pwd", "--cwd")
_OF_SHIFTER = ("image", "volume", "module", "entrypoint", "env")
"""What shifter's plugin of sbatch takes, shifter takes itself."""
_HERE = ("$SLURM_SUBMIT_DIR", "$PWD", "${SLURM_SUBMIT_DIR}", "${PWD}", "$(pwd)")
_STARTS_HERE = "the program starts where the job was submitted, in the container as well"
_WITH_VALUE = ("--env", "--env-file", "--overlay", "-o", "--home", "-H", "--workdir", "-W",
               "--scratch", "-S", "--app", "--hostname", "--network", "--fusemount")  # fmt: skip


def behind_image(layers: Layers) -> int:
    """Return where the program stands, behind the image of an apptainer that ends the layers."""
    words, start = layers.words, layers.at
    if start and words[start].shown in _VERBS and program_name(words[start - 1]) in _RUNTIMES:
        start -= 1
    at = start + 1
    if program_name(words[start]) not in _RUNTIMES or at >= len(words):
        return layers.at
    if words[at].shown not in _VERBS:
        return start
    at += 1
    while at < len(words) and words[at].shown.startswith("-"):
        name, equals, _ = words[at].shown.partition("=")
        takes = name in (*_WITH_VALUE, *_BINDS, *_DIRECTORY) and not equals
        at += 2 if takes else 1
    return at + 1 if at + 1 < len(words) else start


def read_container(script: Script, launch: Launch, draft: Draft, values: Values) -> None:
    """Put the container around a launch into the job file."""
    _pyxis(script, launch, draft, values)
    if launch.kind == "direct":
        _as_it_stands(script, launch, draft)
    for command, layers in around(script, launch.command):
        line = script.source.place(command.span.start)[0]
        until = launch.at if command is launch.command else layers.at
        for at, word in enumerate(layers.words[:until]):
            name, words = program_name(word), layers.words[at + 1 : until]
            if at < layers.srun_at:
                continue
            if name in _RUNTIMES:
                _tell_of_directory(draft, words, line)
                _apptainer(draft, name, words, values, command)
            elif name in OTHERS:
                why = f"slurmkit has no {name}: write container: with pyxis or apptainer"
                draft.note(line, "changed", joined((word, *words)), why)


def _as_it_stands(script: Script, launch: Launch, draft: Draft) -> None:
    """A container's program that a job file cannot name is the first word of the command."""
    name = program_name(launch.layers.words[launch.at])
    if name not in OTHERS:
        return
    line = script.source.place(launch.span.start)[0]
    why = "stays in front of the program: `container:` takes pyxis, apptainer and singularity"
    draft.note(line, "changed", name, why)
    command = draft.get("entrypoint", "command")
    options = [
        f"--{option.name}={option.value}" for option in script.directives.options
        if option.name in _OF_SHIFTER and option.value is not None
    ] if name == "shifter" else []  # fmt: skip
    if options and command[:2] == ["bash", "-c"]:
        command[2] = command[2].replace(" shifter ", f" shifter {shlex.join(options)} ", 1)
    elif options:
        command[1:1] = options
    if options:
        draft.handed |= set(_OF_SHIFTER)
        draft.note(line, "moved", " ".join(options), "shifter takes it on its command line too")


def _pyxis(script: Script, launch: Launch, draft: Draft, values: Values) -> None:
    if launch.srun is None or launch.srun_command is None:
        return
    line = script.source.place(launch.srun_command.span.start)[0]
    for option in launch.srun.options:
        if not option.name.startswith(PYXIS):
            continue
        word = option.origins[-1]
        text = values.text(word, launch.srun_command.order, launch.srun_command.context)
        text = text.partition("=")[2] if len(option.origins) == 1 else text
        draft.put("container", "runtime", "pyxis")
        if option.name == "container-image":
            draft.put("container", "image", text or "${env:CONTAINER_IMAGE}")
            if not text:
                why = "the script leaves the image open: set CONTAINER_IMAGE, or write its name"
                draft.note(line, "changed", "--container-image", why)
        elif option.name == "container-mounts":
            if text:
                draft.put("container", "mounts", text.split(","))
        elif option.name != "container-workdir":
            draft.add("container", "options", [f"--{option.name}" + (f"={text}" if text else "")])
        elif word.shown.partition("=")[2] not in _HERE:
            draft.note(line, "changed", f"--container-workdir={text}", _STARTS_HERE)


def _tell_of_directory(draft: Draft, words: Sequence[Word], line: int) -> None:
    """`--pwd /workspace`."""
    said = [word.shown for word in words]
    for at, text in enumerate(said):
        name, equals, value = text.partition("=")
        value = value if equals else "".join(said[at + 1 : at + 2])
        if name in _DIRECTORY and value not in _HERE:
            draft.note(line, "changed", f"{name} {value}", _STARTS_HERE)


def _apptainer(
    draft: Draft, runtime: str, words: Sequence[Word], values: Values, command: Command
) -> None:
    texts = values.texts(words, command)
    draft.put("container", "runtime", runtime)
    at = 1 if texts and texts[0] in _VERBS else 0
    while at < len(texts) and texts[at].startswith("-"):
        name, equals, value = texts[at].partition("=")
        if name in _BINDS:
            if not equals:
                at += 1
                value = texts[at] if at < len(texts) else ""
            draft.add("container", "mounts", value.split(","))
        elif name in _DIRECTORY:
            at += 0 if equals else 1
        elif name not in ("--nv", "--rocm"):
            draft.add("container", "options", [texts[at]])
            if name in _WITH_VALUE and not equals and at + 1 < len(texts):
                at += 1
                draft.add("container", "options", [texts[at]])
        at += 1
    if at < len(texts):
        draft.put("container", "image", texts[at])
