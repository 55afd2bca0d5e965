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
from slurmkit.spec.errors import Path, Place, Problem, SpecError, dotted
from slurmkit.spec.explain import explain
from slurmkit.spec.model import JobSpec
from slurmkit.spec.profile import Profile, find_profile
from slurmkit.spec.shape import model_shape, to_data

INTERPRETER = Place("the Python that runs slurmkit")


_OWN_DATA = ("entrypoint", "config")


@dataclass(frozen=True, slots=True)
class Layer:
    """Plain data from one source, and the place of every value in it."""

    data: dict[str, Any]
    places: dict[Path, Place] = field(default_factory=dict)
    above: dict[Path, Place] = field(default_factory=dict)
    """Mappings that the source names only on the way to its value, as `--set a.b=1` names a."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A checked job, and where each value that is no default came from."""

    spec: JobSpec
    places: dict[Path, Place]


def load(
    path: str | os.PathLike[str],
    *,
    overrides: Iterable[str] = (),
    profile: str | None = None,
    point: int | None = None,
) -> JobSpec:
    """Read and check a job file; see `resolve` for the arguments and errors."""
    return resolve(path, overrides=overrides, profile=profile, point=point).spec


def resolve(
    path: str | os.PathLike[str],
    *,
    overrides: Iterable[str] = (),
    profile: str | None = None,
    point: int | None = None,
) -> Resolved:
    """Read a job file, merge its profile and the overrides, and check the whole.

    Args:
        path: the job file; `-` is standard input.
        overrides: `key=value` texts, keys dotted, values in YAML: `resources.nodes=4`.
        profile: name or path of a profile; else `SLURMKIT_PROFILE`, else the job's `profile`,
            else `default` where there is one. `none` is no profile.
        point: number of the one point of the job's sweep that is wanted, as a plain job.

    Raises:
        SpecError: every problem found, with its place and fix.
    """
    source = "<stdin>" if str(path) == "-" else _name(path)
    job = read_layer(_read(path, source, "job file"), source)
    set_layers = parse_overrides(overrides)
    layers = [job, *set_layers]
    own = _merge_all(layers)
    named = own.data.get("profile")
    asked = Profile(named, own.places["profile",]) if isinstance(named, str) else None
    if (found := find_profile(profile, asked)) is not None:
        data = _read(found, _name(found), "profile")
        layers.insert(0, read_layer(data, _name(found), may_be_empty=True))
    resolved = _check(_merge_all(layers), Place(source, 1, 1))
    return resolved if point is None else _at_point(resolved, point)


def loads(text: str, source: str) -> JobSpec:
    """Read and check the text of a job file, without a profile.

    Raises:
        SpecError: every problem found, with its place in `source` and fix.
    """
    return _check(read_layer(text, source), Place(source, 1, 1)).spec


def replace(spec: JobSpec, *changes: Mapping[str, Any]) -> JobSpec:
    """Merge changes into a job by the rule of profiles and `--set`, and check the result."""
    data = spec.model_dump(by_alias=True, exclude_unset=True)
    if spec.environment.python == _interpreter():
        data["environment"].pop("python", None)  # filled in again, where it still applies
    layers = [Layer(data), *(Layer(dict(change)) for change in changes)]
    return _check(_merge_all(layers), Place("replace()")).spec


def read_layer(data: bytes | str, source: str, *, may_be_empty: bool = False) -> Layer:
    """Read one YAML text as a layer: a mapping, guided by the models, with places."""
    root = document.parse(data, source)
    if root is None and may_be_empty:  # a profile with everything commented out
        return Layer({})
    if root is None:
        fix = "begin with `name: my-job` and `entrypoint: {script: train.py}`"
        raise SpecError([Problem("the file is empty", Place(source, 1, 1), fix=fix)])
    document.check_bounds(root)
    if not isinstance(root, document.Mapping):
        what = "no `field: value` lines, which a job file or profile is made of"
        raise SpecError(
            [
                Problem(
                    what,
                    root.place,
                    fix="write lines such as `name: my-job`, without a dash in front",
                )
            ]
        )
    places: dict[Path, Place] = {}
    return Layer(to_data(root, model_shape(JobSpec), (), places), places)


def parse_overrides(texts: Iterable[str]) -> list[Layer]:
    """Read what follows `--set`, each `key=value`; tell all that are wrong."""
    layers: list[Layer] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            layers.append(_parse_override(text))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return layers


def _parse_override(text: str) -> Layer:
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if parts[0] == "sweep" and all(parts):  # whose keys are themselves dotted
        parts = [part for part in ("sweep", ".".join(parts[1:])) if part]
    place = Place(f"--set {dotted((key,))}")  # without the value, which may be a secret
    if not equals or not all(parts):
        expected = "a dotted key, =, a value: --set resources.nodes=4"
        fix = "put no spaces around =, and quotes around a value with spaces: --set 'name=my job'"
        raise SpecError([Problem("no key=value", place, expected=expected, fix=fix)])
    try:
        node = document.parse(value, place.source) or document.Scalar(place, "", "plain")
        document.check_bounds(node)
        for part in reversed(parts):
            node = document.Mapping(place, [(document.Scalar(place, part, "str"), node)])
        places: dict[Path, Place] = {}
        data = to_data(node, model_shape(JobSpec), (), places)
    except SpecError as error:
        raise SpecError([Problem(p.what, place, fix=p.fix) for p in error.problems]) from None
    own = {path: place for path in places if len(path) >= len(parts)}
    return Layer(data, own, {path: place for path in places if 0 < len(path) < len(parts)})


def _check(layer: Layer, default: Place) -> Resolved:
    data, places = layer.data, dict(layer.places)
    if _wants_interpreter(data):
        data = {**data, "environment": {**data.get("environment", {}), "python": _interpreter()}}
        places["environment", "python"] = INTERPRETER
    try:
        return Resolved(JobSpec.model_validate(data), places)
    except ValidationError as error:
        raise SpecError(explain(error, data, places, default)) from None


def _at_point(resolved: Resolved, number: int) -> Resolved:
    """Return one point of a sweep; its values come from where the sweep has them."""
    from slurmkit.spec.sweep import at_point, indices

    spec = at_point(resolved.spec, number)
    swept = zip(resolved.spec.sweep, indices(resolved.spec, number), strict=True)
    own: dict[Path, Path] = {tuple(f.split(".")): ("sweep", f, i) for f, i in swept}
    places = {
        path: place
        for path, place in resolved.places.items()
        if not any(path[: len(end)] == end for end in own)
    }
    for end, where in own.items():
        found = {p: place for p, place in resolved.places.items() if p[: len(where)] == where}
        places |= {(*end, *path[len(where) :]): place for path, place in found.items()}
    return Resolved(spec, places)


def _wants_interpreter(data: dict[str, Any]) -> bool:
    environment = data.get("environment", {})
    if not isinstance(environment, dict) or data.get("container") is not None:
        return False
    return all(environment.get(key) in (None, []) for key in ("venv", "conda", "modules", "python"))


def _interpreter() -> str:
    # Not resolved: a virtual environment's python is a link to a Python that knows nothing of it.
    return str(FilePath(sys.executable).absolute())


def _name(path: str | os.PathLike[str]) -> str:
    text = str(path)
    return text if text.isprintable() else repr(text)


def _read(path: str | os.PathLike[str], source: str, kind: str) -> bytes:
    """Read a file, or standard input; of an endless one just enough to see that it is too long."""
    try:
        if source == "<stdin>":
            return sys.stdin.buffer.read(document.MAX_BYTES + 1)
        with FilePath(path).open("rb") as file:
            return file.read(document.MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
    except (AttributeError, ValueError):  # a closed standard input; a NUL in the name
        what = "cannot be read"
    also = ", or - for standard input" if kind == "job file" else ""
    fix = f"name a {kind} that exists and that you may read{also}"
    raise SpecError([Problem(what, Place(source), fix=fix)])


def _merge_all(layers: list[Layer]) -> Layer:
    data: dict[str, Any] = {}
    places: dict[Path, Place] = {}
    for layer in layers:
        for path, place in layer.above.items():
            below = _at(data, path)
            if isinstance(below, list):
                fix = f"write the whole list: --set {dotted(path)}=[…]"
                raise SpecError([Problem("a list has no keys", place, dotted(path), fix=fix)])
            if not isinstance(below, Mapping):
                places[path] = place
        data = _merge(data, layer.data, ())
        places.update(layer.places)
    return Layer(data, places)


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def _merge(below: Any, above: Any, path: Path) -> Any:
    """Lay `above` over `below`; a null drops what is below, but in the program's own data."""
    if not isinstance(below, dict) or not isinstance(above, Mapping):
        return above
    merged = dict(below)
    for key, value in above.items():
        if value is None and key in below and (*path, key)[:2] != _OWN_DATA:
            del merged[key]
        else:
            merged[key] = _merge(below.get(key), value, (*path, key))
    return merged
