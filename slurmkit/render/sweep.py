"""A sweep as a job array: the table of its points, and how bash gets at the values of its own.

The table is YAML, a line a point: so its cells can stand in job.yaml and config.yaml as they are.
What bash itself must read, arguments and variables, is chosen from the cell by a `case`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from slurmkit.render import entrypoint, quoting
from slurmkit.render.entrypoint import Document
from slurmkit.render.holes import Holes, literal_text, map_texts
from slurmkit.spec.dump import dump_yaml, job_data
from slurmkit.spec.sweep import Axis, axes, points

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_LONGEST_KEY = 100  # readers of YAML look no further than 1,024 characters for a key's colon
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_ORDER = ("command", "module", "script", "args")


class Choice(NamedTuple):
    """What bash does for each value of a swept field."""

    column: int
    """The field's column in the table; the task's number is column 0."""
    field: str
    name: str
    """The variable that is exported, of a swept variable."""
    cases: list[tuple[str, list[str]]]
    """A cell, quoted as a pattern, and the lines to run."""


class Sweep(NamedTuple):
    """What the templates write of a sweep."""

    table: Document
    exports: list[Choice]
    """Variables that the batch shell exports."""
    node_exports: list[Choice]
    """Variables that a node exports, because it reads `${env:NAME}` or a container there."""
    words: list[Choice]
    """Parts of the command line, in their order."""
    config: list[Choice]
    """Config values whose texts read `${env:NAME}`."""
    config_holes: dict[tuple[str, ...], str]
    """Where in the config the cells go."""
    swept: frozenset[str]
    """Fields of the entrypoint that stand on the command line."""


def sweep(spec: JobSpec) -> Sweep | None:
    """Return what the script needs of a job's sweep; None for a job without one."""
    if not spec.sweep:
        return None
    columns = dict(enumerate(axes(spec), 1))
    variables = {n: axis for n, axis in columns.items() if axis.kind == "variable"}
    on_node = {n: axis for n, axis in variables.items() if _on_node(spec, axis)}
    programs = {
        axis.path[1]: (n, axis)
        for n, axis in columns.items()
        if axis.kind in ("words", "path", "name")
    }
    configs = {n: axis for n, axis in columns.items() if axis.kind == "config"}
    return Sweep(
        table=_table(list(columns.values())),
        exports=[
            choice for n, axis in variables.items() if (choice := _export(spec, n, axis)).cases
        ],
        node_exports=[_node_export(n, axis) for n, axis in on_node.items()],
        words=[_words(*programs[name]) for name in _ORDER if name in programs],
        config=[choice for n, axis in configs.items() if (choice := _config(n, axis)).cases],
        config_holes={axis.path[2:]: expansion(n) for n, axis in configs.items()},
        swept=frozenset(programs),
    )


def point_yaml(spec: JobSpec) -> Document:
    """Return the job file of a point: that of the sweep, with the point's cells in it."""
    data = {key: value for key, value in job_data(spec).items() if not key.startswith("sweep")}
    document = Holes(dump_yaml(data))
    filled = document.at_paths(data, {a.path: expansion(n) for n, a in enumerate(axes(spec), 1)})
    text = document.dump(filled)
    end = quoting.terminator("JOB_YAML", text)
    return Document(text, end, end, [])


def expansion(column: int) -> str:
    """Return how bash reads a cell."""
    return f"${{point[{column}]}}"


def cell(value: Any) -> str:
    """Write a value as YAML on one line: JSON, but for `.inf` and `.nan`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {cell(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(cell, value)) + "]"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return dump_yaml(value).strip()


def _key(key: str) -> str:
    text = cell(key)
    return f"? {text} " if len(text) > _LONGEST_KEY else text


def _table(swept: Sequence[Axis]) -> Document:
    """Write the table: a header, then a line a point, columns parted by tabs."""
    written = [axis._replace(values=[cell(value) for value in axis.values]) for axis in swept]
    rows = ["\t".join(["task", *(axis.field for axis in swept)])]
    rows += ["\t".join([str(number), *row]) for number, row in enumerate(points(list(written)))]
    return entrypoint.verbatim("SWEEP", "".join(f"{row}\n" for row in rows))


def _on_node(spec: JobSpec, axis: Axis) -> bool:
    return spec.container is not None or any(literal_text(text) is None for text in axis.values)


def _cases(values: Sequence[Any], lines: Mapping[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Return the cases of these values, each once."""
    return [(quoting.word(text), lines[text]) for text in dict.fromkeys(map(cell, values))]


def _export(spec: JobSpec, column: int, axis: Axis) -> Choice:
    """Export a variable in the batch shell, with those values that it would export in a point."""
    name = axis.path[-1]
    values = [] if spec.container else [v for v in axis.values if literal_text(v) is not None]
    lines = {
        cell(value): [f"export {name}={quoting.node_word(value, axis.field)}"] for value in values
    }
    return Choice(column, axis.field, name, _cases(values, lines))


def _node_export(column: int, axis: Axis) -> Choice:
    """Hand a variable's value to the nodes as a word of bash, which is read there."""
    name = axis.path[-1]
    lines = {
        cell(value): [
            f"export SLURMKIT_VALUE_{name}={_code([quoting.node_word(value, axis.field)])}"
        ]
        for value in axis.values
    }
    return Choice(column, axis.field, name, _cases(axis.values, lines))


def _words(column: int, axis: Axis) -> Choice:
    """Hand words of the command line to the nodes as bash, which is read there."""
    write = {
        "args": entrypoint.args_words,
        "command": entrypoint.command_words,
        "module": entrypoint.module_words,
        "script": entrypoint.script_words,
    }[axis.path[1]]
    lines = {
        cell(value): [f"SLURMKIT_WORDS+={_code(write(value), ' ')}"]  # type: ignore[operator]
        for value in axis.values
    }
    return Choice(column, axis.field, "", _cases(axis.values, lines))


def _code(words: Sequence[str], before: str = "") -> str:
    return quoting.word(before + " ".join(words)) if words else "''"


def _config(column: int, axis: Axis) -> Choice:
    """Read the texts of a config value that are not as they stand; the others need no case."""
    read = {cell(value): _read(column, value, axis.field) for value in axis.values}
    values = [value for value in axis.values if read[cell(value)]]
    return Choice(column, axis.field, "", _cases(values, read))


def _read(column: int, value: Any, field: str) -> list[str]:
    """Return the lines that put what a config value means into its cell; none if it is that."""
    document = Holes(cell(value))
    lines: list[str] = []

    def text_of(text: str, where: str) -> str:
        if (literal := literal_text(text)) is not None:
            return literal
        name = f"config_value_{len(lines)}"
        lines.append(f"{name}=$(json_text {quoting.node_word(text, where)})")
        return document.hole(f"${name}")

    meant = map_texts(value, text_of, field)
    if meant == value:
        return []
    return [*lines, f"point[{column}]={_filled(cell(meant), document)}"]


def _filled(text: str, document: Holes) -> str:
    """Write a cell with holes as one word of bash."""
    word = ""
    for index, hole in enumerate(document.holes):
        before, _, text = text.partition(document.mark(index))
        word += quoting.word(before) if before else ""
        word += f'"{hole}"'
    return word + (quoting.word(text) if text else "")
