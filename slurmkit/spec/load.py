"""From a job file, a profile and overrides to one frozen, checked job.

Order: profile < job file < `--set`. Mappings merge key by key; lists and scalars replace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from slurmkit.spec import document
from slurmkit.spec.errors import Path, Place, Problem, SpecError
from slurmkit.spec.explain import explain
from slurmkit.spec.model import JobSpec
from slurmkit.spec.profile import find_profile
from slurmkit.spec.shape import model_shape, to_data

INTERPRETER = Place("the Python that runs slurmkit")


@dataclass(frozen=True, slots=True)
class Layer:
    """Plain data from one source, and the place of every value in it."""

    data: dict[str, Any]
    places: dict[Path, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A checked job, and where each value that is no default came from."""

    spec: JobSpec
    places: dict[Path, Place]


def load(
    path: str | os.PathLike[str], *, overrides: Iterable[str] = (), profile: str | None = None
) -> JobSpec:
    """Read and check a job file; see `resolve` for the arguments and errors."""
    return resolve(path, overrides=overrides, profile=profile).spec


def resolve(
    path: str | os.PathLike[str], *, overrides: Iterable[str] = (), profile: str | None = None
) -> Resolved:
    """Read a job file, merge its profile and the overrides, and check the whole.

    Args:
        path: the job file; `-` is standard input.
        overrides: `key=value` texts, keys dotted, values in YAML: `resources.nodes=4`.
        profile: name or path of a profile; else `SLURMKIT_PROFILE`, else the job's `profile`,
            else `default` where there is one. `none` is no profile.

    Raises:
        SpecError: every problem found, with its place and fix.
    """
    source = "<stdin>" if str(path) == "-" else str(path)
    job = read_layer(_read(path, source), source)
    set_layers = [parse_override(text) for text in overrides]
    named = _merge_all([job, *set_layers]).data.get("profile")
    found = find_profile(profile, named if isinstance(named, str) else None)
    layers = [job, *set_layers]
    if found is not None:
        layers.insert(0, read_layer(_read(found, str(found)), str(found)))
    return _check(_merge_all(layers), source)


def replace(spec: JobSpec, changes: Mapping[str, Any]) -> JobSpec:
    """Merge `changes` into a job by the rule of profiles and `--set`, and check the result."""
    data = spec.model_dump(by_alias=True, exclude_unset=True)
    if _wants_interpreter({**data, "environment": {**data.get("environment", {}), "python": None}}):
        data.get("environment", {}).pop("python", None)  # filled in again, where it still applies
    return _check(_merge_all([Layer(data), Layer(dict(changes))]), "replace()").spec


def read_layer(data: bytes | str, source: str) -> Layer:
    """Read one YAML text as a layer: a mapping, guided by the models, with places."""
    root = document.parse(data, source)
    if root is None:
        fix = "begin with `name:` and `entrypoint:` (see README)"
        raise SpecError([Problem("the file is empty", Place(source, 1, 1), fix=fix)])
    document.check_bounds(root)
    if not isinstance(root, document.Mapping):
        what = "a job file is a mapping of fields"
        raise SpecError([Problem(what, root.place, fix="write lines such as `name: my-job`")])
    places: dict[Path, Place] = {}
    return Layer(to_data(root, model_shape(JobSpec), (), places), places)


def parse_override(text: str) -> Layer:
    """Read one `--set key=value`."""
    key, equals, value = text.partition("=")
    place = Place(f"--set {text}")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        fix = "write --set resources.nodes=4"
        raise SpecError([Problem("no key=value", place, expected="a dotted key, =, a value", fix=fix)])
    try:
        node = document.parse(value, place.source)
    except SpecError as error:
        raise SpecError([Problem(p.what, place, key, fix=p.fix) for p in error.problems]) from None
    node = node or document.Scalar(place, "", "plain")
    document.check_bounds(node)
    for part in reversed(parts):
        node = document.Mapping(place, [(document.Scalar(place, part, "str"), node)])
    places: dict[Path, Place] = {}
    data = to_data(node, model_shape(JobSpec), (), places)
    return Layer(data, dict.fromkeys(places, place))


def _check(layer: Layer, source: str) -> Resolved:
    data, places = layer.data, dict(layer.places)
    if _wants_interpreter(data):
        data = {**data, "environment": {**(data.get("environment") or {}), "python": _interpreter()}}
        places["environment", "python"] = INTERPRETER
    try:
        return Resolved(JobSpec.model_validate(data), places)
    except ValidationError as error:
        raise SpecError(explain(error, data, places, Place(source, 1, 1))) from None


def _wants_interpreter(data: dict[str, Any]) -> bool:
    environment = data.get("environment") or {}
    if not isinstance(environment, dict) or data.get("container") is not None:
        return False
    return all(environment.get(key) in (None, []) for key in ("venv", "conda", "modules", "python"))


def _interpreter() -> str:
    # Not resolved: a virtual environment's python is a link to a Python that knows nothing of it.
    return str(FilePath(sys.executable).absolute())


def _read(path: str | os.PathLike[str], source: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if source == "<stdin>" else FilePath(path).read_bytes()
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        fix = "name a job file that exists, or - for standard input"
        raise SpecError([Problem(what, Place(source), fix=fix)]) from None
    except ValueError:
        raise SpecError([Problem("no file name", Place(repr(source)), fix="name a file")]) from None


def _merge_all(layers: list[Layer]) -> Layer:
    data: dict[str, Any] = {}
    places: dict[Path, Place] = {}
    for layer in layers:
        data = _merge(data, layer.data)
        places.update(layer.places)
    return Layer(data, places)


def _merge(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, Mapping):
        return {**below, **{key: _merge(below.get(key), value) for key, value in above.items()}}
    return above
