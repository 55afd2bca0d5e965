"""The program of a job: its words on the command line, and its config as a here-document."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from slurmkit.render import quoting
from slurmkit.render.holes import Holes, literal_text, map_texts
from slurmkit.spec.dump import dump_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from slurmkit.spec.model import JobSpec

NO_HOLES: Mapping[tuple[str, ...], str] = MappingProxyType({})


class Document(NamedTuple):
    """A here-document: its text and the words that open and close it."""

    text: str
    begin: str
    end: str
    variables: list[tuple[str, str]]
    """Shell variables that the text names, and the words that fill them."""


def interpreter(spec: JobSpec) -> str:
    """Return the name under which Python is found on PATH.

    `python3`, which every environment has; but beside /usr/bin/python3.12 that may be another one.
    """
    name = Path(spec.environment.python or "").name
    return name if re.fullmatch(r"(python|pypy)3\.[0-9]+t?", name) else "python3"


def program(spec: JobSpec, swept: Collection[str] = (), has_config: bool = False) -> str:
    """Return the program and its arguments as words of bash, to stand behind `exec`.

    Args:
        spec: the job.
        swept: fields of the entrypoint that a sweep changes; `"${words[@]}"` stands for them.
        has_config: whether the program gets a config although the job itself has none.
    """
    entry = spec.entrypoint
    if entry.command is not None:
        words = ["--", *command_words(entry.command)]
        if "command" in swept:
            words = ["--", '"${words[@]}"']
    else:
        words = [interpreter(spec)]
        if entry.module is not None:
            words += ["-m"]
        own = module_words(entry.module) if entry.module is not None else script_words(entry.script)
        words += [] if {"module", "script"} & set(swept) else own
        words += ['"${words[@]}"'] if swept else []
        words += [] if "args" in swept else args_words(entry.args)
        if entry.config is not None or has_config:
            words += ["--config", '"$SLURMKIT_RUN_DIR/config.yaml"']
    separator = " " if sum(map(len, words)) < 80 else " \\\n    "
    return separator.join(words)


def module_words(module: str) -> list[str]:
    """Return a module's name as a word of bash."""
    return [quoting.word(module)]


def script_words(script: str | None) -> list[str]:
    """Return a script's path as a word of bash."""
    path = f"./{script}" if str(script).startswith("-") else str(script)
    return [quoting.path_word(path, "entrypoint.script")]


def command_words(command: list[str]) -> list[str]:
    """Return a command as words of bash."""
    first, *rest = command
    words = [quoting.path_word(first, "entrypoint.command[0]")]
    return words + [
        quoting.node_word(text, f"entrypoint.command[{i}]") for i, text in enumerate(rest, 1)
    ]


def args_words(args: list[str]) -> list[str]:
    """Return arguments as words of bash."""
    return [quoting.node_word(text, f"entrypoint.args[{i}]") for i, text in enumerate(args)]


def config(values: dict[str, Any], holes: Mapping[tuple[str, ...], str] = NO_HOLES) -> Document:
    """Write the config; the batch script fills in the texts that hold `${env:NAME}`.

    Args:
        values: the config.
        holes: what the batch script puts in place of the values at these paths.
    """
    variables: list[tuple[str, str]] = []

    def text_of(text: str, field: str) -> str:
        if (literal := literal_text(text)) is not None:
            return literal
        variables.append((f"config_value_{len(variables)}", quoting.node_word(text, field)))
        return document.hole(f"${variables[-1][0]}")

    document = Holes(dump_yaml(values))
    filled = document.at_paths(values, holes)
    text = document.dump(map_texts(filled, text_of, "entrypoint.config"))
    if not document.holes:
        return verbatim("CONFIG_YAML", text)
    end = quoting.terminator("CONFIG_YAML", text)
    return Document(text, end, end, variables)


def verbatim(word: str, text: str) -> Document:
    """Return a here-document in which bash expands nothing."""
    end = quoting.terminator(word, text)
    return Document(text, f"'{end}'", end, [])
