"""Paths of a job that must be there before it runs from this very machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.spec.errors import Path as FieldPath
from slurmkit.spec.errors import Place, Problem, SpecError
from slurmkit.spec.fields import references

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slurmkit.spec.model import JobSpec


def check_paths(
    spec: JobSpec,
    places: Mapping[FieldPath, Place],
    environment: Mapping[str, str],
    *,
    otherwise: str = "rehearse",
) -> None:
    """Raise for paths that are missing here.

    In a container, a program with an absolute path may be the image's own.

    Args:
        spec: the job.
        places: where its values were written.
        environment: in which `${env:NAME}` is read.
        otherwise: what the user could do without the venv.

    Raises:
        SpecError: with every missing path, its place and the fix.
    """
    problems = [
        Problem(
            f"no {what} {path}",
            places.get(field, Place("the job")),
            ".".join(map(str, field)),
            fix=_fix(spec, field, otherwise),
        )
        for field, what, path in _paths(spec, environment)
        if not path.exists()
    ]
    if problems:
        raise SpecError(problems)


def _fix(spec: JobSpec, field: FieldPath, otherwise: str) -> str:
    if field == ("sbatch", "chdir"):
        return "make it, or correct the path (Slurm reads no ~, and starts such a job in /tmp)"
    if field == ("environment", "venv"):
        return f"make it, or {otherwise} without it: --set environment.venv=null"
    return f"make it, or correct the path (relative ones start at {_start(spec)})"


def _start(spec: JobSpec) -> Path:
    return Path(spec.sbatch.get("chdir", ".")).absolute()


def _paths(spec: JobSpec, environment: Mapping[str, str]) -> Iterator[tuple[FieldPath, str, Path]]:
    entrypoint, container = spec.entrypoint, spec.container
    texts: list[tuple[FieldPath, str, str | None]] = [
        (("entrypoint", "script"), "file", entrypoint.script)
    ]
    if entrypoint.command and "/" in entrypoint.command[0]:
        texts.append((("entrypoint", "command", 0), "file", entrypoint.command[0]))
    if container is not None:
        texts = [(field, what, text) for field, what, text in texts if _is_relative(text)]
        image = container.image if container.image.startswith((".", "/", "~")) else None
        texts.append((("container", "image"), "file", image))
    else:
        texts.append((("environment", "venv"), "directory", spec.environment.venv))
    if "chdir" in spec.sbatch:
        yield ("sbatch", "chdir"), "directory", _start(spec)
    for field, what, text in texts:
        read = None if text is None else _read(text, environment)
        if read is not None:
            yield field, what, _start(spec) / read


def _is_relative(text: str | None) -> bool:
    return text is not None and not text.startswith(("/", "~", "${"))


def _read(text: str, environment: Mapping[str, str]) -> str | None:
    """Return a path as the script would read it; None where a variable is not set."""
    home = environment.get("HOME", "~")
    if text == "~" or text.startswith("~/"):
        return home + "".join(_pieces(text[1:], environment) or [])
    pieces = _pieces(text, environment)
    return None if pieces is None else "".join(pieces)


def _pieces(text: str, environment: Mapping[str, str]) -> list[str] | None:
    pieces: list[str] = []
    for literal, name, default in references(text):
        value = literal if name is None else environment.get(name, default)
        if value is None:
            return None  # the script says so, and names the field
        pieces.append(value)
    return pieces
