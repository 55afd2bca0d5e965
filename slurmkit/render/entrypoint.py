"""The program of a job: its words on the command line, and its config as a here-document."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from slurmkit.render import quoting
from slurmkit.spec.dump import Quoted, dump_yaml
from slurmkit.spec.fields import references

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


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


def program(spec: JobSpec) -> str:
    """Return the program and its arguments as words of bash, to stand behind `exec`."""
    entry = spec.entrypoint
    if entry.command is not None:
        first, *rest = entry.command
        words = ["--", quoting.path_word(first, "entrypoint.command[0]")]
        words += [
            quoting.node_word(text, f"entrypoint.command[{i}]") for i, text in enumerate(rest, 1)
        ]
    else:
        if entry.module is not None:
            words = [interpreter(spec), "-m", quoting.word(entry.module)]
        else:
            script = str(entry.script)
            script = f"./{script}" if script.startswith("-") else script
            words = [interpreter(spec), quoting.path_word(script, "entrypoint.script")]
        words += [
            quoting.node_word(text, f"entrypoint.args[{i}]") for i, text in enumerate(entry.args)
        ]
        if entry.config is not None:
            words += ["--config", '"$SLURMKIT_RUN_DIR/config.yaml"']
    separator = " " if sum(map(len, words)) < 80 else " \\\n    "
    return separator.join(words)


def config(values: dict[str, Any]) -> Document:
    """Write the config; the batch script fills in the texts that hold `${env:NAME}`."""
    variables: list[tuple[str, str]] = []

    def fill(value: Any, field: str) -> Any:
        if isinstance(value, dict):
            return {key: fill(item, f"{field}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, f"{field}[{index}]") for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        parts = references(value)
        if all(name is None for _, name, _ in parts):
            return parts[0][0]
        variables.append((f"config_value_{len(variables)}", quoting.node_word(value, field)))
        return Quoted(f"{mark}{len(variables) - 1}{mark}")

    mark = quoting.terminator("SLURMKIT_VALUE_", dump_yaml(values))
    while mark in dump_yaml(values):
        mark += "_"
    text = dump_yaml(fill(values, "entrypoint.config"))
    if not variables:
        return verbatim("CONFIG_YAML", text)
    text = quoting.heredoc_text(text)
    for index, (name, _) in enumerate(variables):
        text = text.replace(f'"{mark}{index}{mark}"', f"${name}")
    end = quoting.terminator("CONFIG_YAML", text)
    return Document(text, end, end, variables)


def verbatim(word: str, text: str) -> Document:
    """Return a here-document in which bash expands nothing."""
    end = quoting.terminator(word, text)
    return Document(text, f"'{end}'", end, [])
