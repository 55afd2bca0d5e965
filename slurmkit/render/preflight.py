"""What a script needs to look at its nodes before the launch: the probe, packed, and its words."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.render import container, directives, entrypoint, quoting
from slurmkit.slurm.grammar import parse_memory
from slurmkit.spec.fields import references
from slurmkit.spec.program import program_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurmkit.spec.model import JobSpec

_MAIN = 'import runpy\nrunpy.run_module("probe", run_name="__main__", alter_sys=True)\n'
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day that a zip file knows: the same bytes every day
_WIDTH = 110
_KEPT = ("--gpus-per-node", "--gres", "--mpi", "--network", "--propagate")
"""Options of the job's steps that its nodes' probes need as well; where tasks are bound is none."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the template writes into the script."""

    probe: entrypoint.Document
    """A Python program, as `base64 -d | gzip -d` unpacks it."""
    settings: entrypoint.Document
    words: list[str]
    """Options of a node's probe: paths whose `~/` and `${env:NAME}` bash reads there."""
    exports: list[tuple[str, str]]
    """Variables that a node sets."""
    srun_options: list[str]
    """Of the step that looks at the nodes, quoted for bash."""
    cpus: str
    stops: bool
    """Whether a failed check ends the job."""


def preflight(spec: JobSpec, on_node: list[tuple[str, str | None]]) -> Preflight:
    """Return what there is to write for a job that asks for checks.

    Args:
        spec: the job.
        on_node: the variables that each node sets; those with None are set for one point only.
    """
    assert spec.preflight is not None
    cpus = spec.resources.cpus_per_node
    options = [option for option in directives.srun(spec) if option.startswith(_KEPT)]
    return Preflight(
        probe=entrypoint.verbatim("PREFLIGHT", packed()),
        settings=entrypoint.verbatim("SETTINGS", _a_line_each(settings(spec))),
        words=node_words(spec),
        exports=[(name, value) for name, value in on_node if value is not None],
        srun_options=[*map(quoting.word, options), *container.srun_options(spec)],
        cpus=f" --cpus-per-task={cpus}" if cpus else "",
        stops=spec.preflight.on_failure == "stop",
    )


def settings(spec: JobSpec) -> dict[str, Any]:
    """Return what the probes are told in JSON, with paths as the job file writes them."""
    wanted = spec.preflight
    assert wanted is not None
    return {
        "checks": wanted.checks,
        "timeout": wanted.timeout,
        "interface": spec.environment.network_interface,
        "gpus_per_node": spec.resources.gpus_per_node,
        "processes_per_node": spec.processes_per_node,
        "data": [_written(text) for text in _data(spec).values()],
        "storage": [f"runs/{quoting.slug(spec.name)}", *map(_written, _storage(spec).values())],
        "free": parse_memory(wanted.free_space) * 2**20,
        "entrypoint": _entrypoint(spec),
        "torch": spec.launcher.kind != "srun",
    }


def node_words(spec: JobSpec) -> list[str]:
    """Return the paths that each node reads for itself, as words of bash.

    A pair for each, behind `--path`: what the settings call it, and where it is on that node.
    """
    entry = spec.entrypoint
    named = _data(spec) | _storage(spec)
    if spec.preflight and "entrypoint" in spec.preflight.checks:
        named["entrypoint.script"] = entry.script or ""
        named["entrypoint.command[0]"] = entry.command[0] if entry.command else ""
    read = {text: field for field, text in named.items() if _is_read(text)}
    return [
        f"--path {quoting.word(text)} {quoting.path_word(text, field)}"
        for text, field in read.items()
    ]


def _a_line_each(values: dict[str, Any]) -> str:
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


@cache
def packed() -> str:
    """Return the probe's sources as lines of base64. Pure: the same sources give the same text."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, text in (("__main__.py", _MAIN), *_sources()):
            file.writestr(zipfile.ZipInfo(name, _EPOCH), text)
    text = base64.b64encode(gzip.compress(archive.getvalue(), 9, mtime=0)).decode()
    lines = (text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH))
    return "".join(f"{line}\n" for line in lines)


def _sources() -> Iterator[tuple[str, str]]:
    """Give each file of the probe, as it is called in the archive, with its text."""
    package = Path(__file__).parents[1]
    for path in sorted((package / "probe").rglob("*.*")):
        if path.parent.name != "__pycache__":
            yield path.relative_to(package).as_posix(), path.read_text(encoding="utf-8")


def _data(spec: JobSpec) -> dict[str, str]:
    """Return the paths that must be the same on all nodes: those named, and our own program's."""
    if spec.preflight is None or "data" not in spec.preflight.checks:
        return {}
    named = {f"preflight.data[{index}]": text for index, text in enumerate(spec.preflight.data)}
    own: dict[str, str] = getattr(program_config(spec), "paths", dict)()
    return named | {f"entrypoint.config.{field}": text for field, text in own.items()}


def _storage(spec: JobSpec) -> dict[str, str]:
    """Return the directories that the job writes to, beside its run directory."""
    wanted = spec.preflight
    if wanted is None or "storage" not in wanted.checks:
        return {}
    return {f"preflight.storage[{index}]": text for index, text in enumerate(wanted.storage)}


def _entrypoint(spec: JobSpec) -> dict[str, Any] | None:
    """Return what is to be imported, or found; None where a sweep has several of them."""
    entry = spec.entrypoint
    kind = next(kind for kind in ("module", "script", "command") if getattr(entry, kind))
    if f"entrypoint.{kind}" in spec.sweep:
        return None
    if kind == "module":
        return {"module": entry.module}
    if kind == "script":
        return {"script": _written(str(entry.script))}
    return {"command": [_written(word) for word in (entry.command or [])[:1]]}


def _is_read(text: str) -> bool:
    """Tell whether a path is one thing in the job file, and another on a node."""
    return text.startswith("~") or any(name is not None for _, name, _ in references(text))


def _written(text: str) -> str:
    """Return a path as it is on every node, where that is known; else as it is written."""
    if _is_read(text):
        return text
    return "".join(literal for literal, _, _ in references(text))
