"""The rules of lint for what a user writes into a job file, or leaves out of it.

The script that slurmkit renders is clean but for these: they are a matter of the job's values, so
they are told at the job file's line. No script is rendered or parsed for it, and what costs time
to import is imported only for a job that has such values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from slurmkit.check.finding import Finding
from slurmkit.slurm.scalars import whole
from slurmkit.spec.errors import Path, Place, dotted
from slurmkit.spec.warnings import tells_a_secret

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_INFOS = ("SK208", "SK215", "SK216", "SK418", "SK502", "SK504", "SK511")
_ARGUABLE = ("SK505", "SK506", "SK507")
"""Not told where a comment next to the value gives a reason."""
_REMOTE = ("mpirun", "mpiexec", "mpiexec.hydra", "ssh", "pdsh")


@dataclass(frozen=True, slots=True, kw_only=True)
class InJobFile(Finding):
    """A finding in a job file."""

    path: str
    """The field as a user writes it."""
    at: Place


@dataclass(frozen=True, slots=True)
class _Said:
    """What a rule says of a field."""

    code: str
    path: Path
    what: str
    fix: str = ""


def job_findings(
    spec: JobSpec, places: Mapping[Path, Place], *, info: bool = False
) -> list[InJobFile]:
    """Return what is found in a job, in the order of its lines.

    Args:
        spec: The job.
        places: Where each of its values is from.
        info: Whether findings that are information only count too.
    """
    found = (*_resources(spec), *_variables(spec), *_texts(spec))
    kept = [said for said in found if info or said.code not in _INFOS]
    all_of_them = sorted((_finding(said, places) for said in kept), key=_order)
    return [f for f in all_of_them if f.code not in _ARGUABLE or not _is_explained(f.at)]


def _order(finding: InJobFile) -> tuple[str, int, int, str]:
    return finding.at.source, finding.at.line or 0, finding.at.column or 0, finding.code


def _resources(spec: JobSpec) -> Iterator[_Said]:
    resources, launcher = spec.resources, spec.launcher
    top: Path = ("resources",)
    if not resources.gpus_per_node:
        yield _Said("SK208", top, "no GPU is asked for", "Set resources.gpus_per_node.")
    if resources.gpus_per_node and resources.cpus_per_node is None and not resources.exclusive:
        what = "resources.cpus_per_node is not set: many sites then give one CPU a node"
        yield _Said("SK213", (*top, "gpus_per_node"), what, "Set resources.cpus_per_node.")
    if resources.memory_per_node is None:
        what = "no memory is asked for: the site's default may be small"
        yield _Said("SK215", top, what, "Set resources.memory_per_node; 0 is all of a node's.")
    if memory := whole(resources.memory_per_node):
        from slurmkit.check.lint.facts import LEAST_MEMORY

        if memory < LEAST_MEMORY:
            what = f"{memory} MB a node are less than Python and torch need"
            fix = f"Write {memory}G, if that is meant."
            yield _Said("SK613", (*top, "memory_per_node"), what, fix)
    if resources.time is None:
        what = "no time limit is set: the partition's default counts"
        yield _Said("SK216", top, what, "Set resources.time.")
    if isinstance(launcher.port, int) and not resources.exclusive:
        what = f"port {launcher.port} may be taken by another job on the node"
        yield _Said("SK306", ("launcher", "port"), what, "Leave launcher.port at auto.")
    program = (spec.entrypoint.command or [""])[0].rpartition("/")[2]
    if program in _REMOTE:
        what = f"{program} starts processes that Slurm does not know of"
        yield _Said("SK418", ("entrypoint", "command"), what)
    if (name := spec.environment.network_interface) and not name.startswith("^"):
        what = f"NCCL and gloo find no network where a node has no {name}"
        yield _Said("SK502", ("environment", "network_interface"), what)


def _variables(spec: JobSpec) -> Iterator[_Said]:
    resources, given = spec.resources, spec.environment.variables
    if not given:
        return
    from slurmkit.check.lint.facts import (
        INTERFACES,
        debugging,
        is_unread_timeout,
        transport_off,
        unknown_value,
    )
    from slurmkit.check.lint.names import meant, names

    for name, value in given.items():
        path: Path = ("environment", "variables", name)
        if name in INTERFACES and value and not value.startswith(("^", "${")):
            yield _Said("SK502", path, f"{name} is {value} here")
        if is_unread_timeout(name):
            yield _Said("SK503", path, f"neither NCCL nor torch reads {name}")
        row = names().get(name)
        if row is not None and row.instead:
            what = f"torch now calls {name} {row.instead}"
            yield _Said("SK504", path, what, f"Write {row.instead}.")
        if what := debugging(name, value):
            yield _Said("SK505", path, f"{name}={value} {what}")
        is_alone = resources.nodes if name == "NCCL_IB_DISABLE" else resources.gpus_per_node
        if (what := transport_off(name, value)) and is_alone != 1:
            yield _Said("SK506", path, f"{name}={value}: {what}")
        if name == "CUDA_VISIBLE_DEVICES" and value.replace(",", "").isdigit():
            yield _Said("SK507", path, f"{name}={value} takes the place of Slurm's own")
        if known := unknown_value(name, value):
            what = f"{names()[name].reader} knows no {name}={value}"
            yield _Said("SK610", path, what, f"Write one of {', '.join(known)}.")
        if not is_unread_timeout(name) and (near := meant(name, value)) is not None:
            what = f"{names()[near[0]].reader} reads no {name}; {near[0]} is near"
            yield _Said("SK511", path, what, f"Write {near[0]}, if that is meant.")


def _texts(spec: JobSpec) -> Iterator[_Said]:
    """Find secrets."""
    for name, value in spec.environment.variables.items():
        if tells_a_secret(name, value):
            what = f"{name} looks like a secret and would stand in the script"
            fix = f"Write `pass: [{name}]` under environment instead."
            yield _Said("SK509", ("environment", "variables", name), what, fix)
    texts: dict[Path, list[str]] = {
        ("entrypoint", "args"): spec.entrypoint.args,
        ("entrypoint", "command"): spec.entrypoint.command or [],
        ("environment", "setup"): spec.environment.setup,
    }
    if not any(texts.values()):
        return
    from slurmkit.check.secrets import secrets

    for path, words in texts.items():
        if any(secrets(" ".join(words).encode(errors="replace"))):
            what = "what looks like a secret would stand in the script"
            yield _Said("SK509", path, what, "Hand it over by environment.pass.")


def _finding(said: _Said, places: Mapping[Path, Place]) -> InJobFile:
    at = _place(said.path, places)
    return InJobFile(
        code=said.code,
        place=str(at),
        what=said.what,
        fix=said.fix or _fix_of(said.code),
        severity="info" if said.code in _INFOS else "warning",
        path=dotted(said.path),
        at=at,
    )


def _fix_of(code: str) -> str:
    """Return what the rule says; the rules are read for it, which takes its time."""
    from slurmkit.check.lint.rule import rules

    return rules()[code].fix


def _place(path: Path, places: Mapping[Path, Place]) -> Place:
    """Return where a field stands, or what is around it, or the job file's first line."""
    for end in range(len(path), 0, -1):
        if (place := places.get(path[:end])) is not None:
            return place
    first = next((place for place in places.values() if place.line is not None), None)
    return Place(first.source, 1, 1) if first is not None else Place("the job", None)


def _is_explained(place: Place) -> bool:
    """Tell whether a comment in the job file gives the reason."""
    if place.line is None:
        return False
    from slurmkit.check.lint.facts import says_why

    lines = _lines(place.source)
    if len(lines) < place.line:
        return False
    above = lines[place.line - 2] if place.line > 1 else ""
    return says_why(lines[place.line - 1].partition(" #")[2], above)


def _lines(source: str) -> tuple[str, ...]:
    try:
        return tuple(FilePath(source).read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):
        return ()
