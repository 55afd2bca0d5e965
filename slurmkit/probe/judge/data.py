"""Data and programs: there, and the same on all nodes."""

from __future__ import annotations

from shlex import quote
from typing import Any

from ..facts import Facts
from . import odd
from .common import counted, several, size, usable
from .finding import Column, Finding


def data(facts: Facts) -> Column:
    """Judge whether data paths hold the same everywhere."""
    column = Column("data")
    totals: dict[int, list[int]] = {}
    for at, path in enumerate(facts.settings.data):
        check = f"data {at}"
        missing = {
            n: said["error"] for n, said in facts.of(check).items() if set(said) == {"error"}
        }
        for node, why in missing.items():
            somewhere = len(missing) < len(facts.of(check))
            fix = "copy or mount it there" if somewhere else "correct the path, or make it readable"
            finding = Finding("data-missing", node, f"cannot read {path}", fix, str(why),
                              blame=(node,) if somewhere else ())  # fmt: skip
            column.add(finding, "missing")
        there = {
            node: said for node, said in usable(facts, Column("data"), check).items()
            if node not in missing
        }  # fmt: skip
        _hanging(facts, column, check, path)
        _compare(facts, column, path, there)
        for node, said in there.items():
            totals.setdefault(node, []).append(said["bytes"])
            if said["late"]:
                what = f"{path} was not read in time; what was read is compared with nothing"
                fix = "give preflight.timeout more seconds, or name fewer files"
                column.add(Finding("data-late", node, what, fix, "", "warning"), "late")
    for node, counts in totals.items():
        column.fine(node, size(sum(counts)))
    return column


def _hanging(facts: Facts, column: Column, check: str, path: str) -> None:
    for node, said in facts.of(check).items():
        if set(said) == {"timeout"}:
            what = f"{path} gives no answer in {said['timeout']:.3g} s"
            fix = "its file system hangs there (mount, nfsstat), or is very slow"
            blame = (node,) if len(facts.of(check)) > 1 else ()
            column.add(Finding("no-answer", node, what, fix, blame=blame), "hangs")


def _compare(facts: Facts, column: Column, path: str, there: dict[int, Any]) -> None:
    have: dict[int, tuple[Any, ...]] = {
        node: (said["files"], said["bytes"], said["listing"], said["sums"])
        for node, said in there.items()
        if not said["late"]
    }
    if not have:
        return
    usual, others = odd.ones(have)
    first = next(node for node, value in have.items() if value == usual)
    for node, (files, count, *_) in others.items():
        what = f"{path} differs from that of {facts.name(first)}"
        source, target = (quote(str(there[one].get("top", path))) for one in (first, node))
        source = f"{facts.name(first)}:{source}"
        fix = f"copy it anew; there, for example: rsync -a --checksum {source} {target}"
        counts = f"{counted(files, 'file')}, {counted(count, 'byte')}"
        counts += f"; on {facts.name(first)} {usual[0]} and {usual[1]}"
        names = _differing(facts, path, first, node)
        evidence = f"{counts}: {several(names)}" if names else counts
        finding = Finding("data-differs", node, what, fix, evidence, blame=odd.blamed(have, node))
        column.add(finding, "differs")


def _differing(facts: Facts, path: str, first: int, node: int) -> list[str]:
    """Return what differs: files, as far as both have been asked."""
    sums = facts.checksums.get(path, {})
    if first not in sums or node not in sums:
        return []
    here, there = sums[first], sums[node]
    every = sorted(set(here) | set(there))
    words = []
    for name in every:
        if here.get(name) != there.get(name):
            how = " (missing)" if name not in there else " (too much)" if name not in here else ""
            words.append((name or path) + how)
    return words


_LACKS = {
    "program": (
        "the program is not found",
        "install {0}, or have PATH lead to it (environment.modules, venv, conda, setup)",
    ),
    "path": (
        "the program is not found",
        "correct the path {0}, or make it executable: chmod +x",
    ),
    "file": ("the program cannot be read", "correct entrypoint.script, or its rights"),
    "module": (
        "the program's imports fail",
        "install {0} in the job's environment, or have PYTHONPATH lead to it",
    ),
    "syntax": (
        "the program's imports fail",
        "mend {0} at line {1}, or take the Python that it is written for",
    ),
    "other": (
        "the program's imports fail",
        "see the reason: {0} cannot be imported, a library or a version does not fit",
    ),
}
"""By kind of what is missing: what that is, and what to do."""


def _lacks(found: dict[str, Any]) -> tuple[str, str]:
    what, fix = _LACKS[found.get("kind", "other")]
    return what, fix.format(*(found.get("about") or ["something"]), "")


def entrypoint(facts: Facts) -> Column:
    """Judge whether the program's imports are there."""
    column = Column("entrypoint")
    said = usable(facts, column, "entrypoint", grave=False)
    failing = [node for node, found in said.items() if "missing" in found]
    for node, found in said.items():
        if "missing" in found:
            what, fix = _lacks(found)
            if len(failing) < len(said):
                fix = f"other nodes have it, and so should this one: {fix}"
            blame = (node,) if 2 * len(failing) < len(said) or len(failing) == 1 < len(said) else ()
            column.add(
                Finding("import-fails", node, what, fix, found["missing"], blame=blame), "fails"
            )
        elif "slow" in found:
            what = f"the program's imports take longer than {found['slow']:.3g} s"
            fix = "a slow file system under the environment, or an import that wants the network"
            column.add(Finding("import-slow", node, what, fix, "", "warning"), "slow")
        else:
            column.fine(node)
    if facts.settings.entrypoint is None:
        for node in facts.heard:
            column.skip(node, "swept: not tried")
    return column
