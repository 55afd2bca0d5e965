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
        there = _there(facts, column, check, path)
        _hanging(facts, column, check, path)
        _unreadable(column, path, there)
        _compare(facts, column, path, there)
        _amount(column, path, there)
        for node, said in there.items():
            totals.setdefault(node, []).append(said["bytes"])
    for node, counts in totals.items():
        column.fine(node, size(sum(counts)))
    return column


def _there(facts: Facts, column: Column, check: str, path: str) -> dict[int, Any]:
    """Find nodes that do not have a path at all; return what the others say of it."""
    missing = {n: said["error"] for n, said in facts.of(check).items() if set(said) == {"error"}}
    somewhere = len(missing) < len(facts.of(check))
    fix = "copy or mount it there" if somewhere else "correct the path, or make it readable"
    if not somewhere and set("*?[") & set(path):
        fix = "patterns are not expanded: name the directory that holds the files"
    for node, why in missing.items():
        blame = (node,) if somewhere else ()
        what = f"cannot read {path}"
        column.add(Finding("data-missing", node, what, fix, str(why), blame=blame), "missing")
    said = usable(facts, Column("data"), check)
    return {node: found for node, found in said.items() if node not in missing}


def _amount(column: Column, path: str, there: dict[int, Any]) -> None:
    """Find what was not read in time, and a directory that is empty everywhere."""
    for node, said in there.items():
        if said["late"]:
            what = f"{path} was not read in time; what was read is compared with nothing"
            fix = "give preflight.timeout more seconds, or name fewer files"
            column.add(Finding("data-late", node, what, fix, "", "warning"), "late")
    if any(said["files"] or said["late"] or said.get("unreadable") for said in there.values()):
        return
    for node in there:
        what, fix = f"{path} holds no files", "see findmnt --target there: is it mounted?"
        column.add(Finding("data-empty", node, what, fix, "", "warning"), "empty")


def _hanging(facts: Facts, column: Column, check: str, path: str) -> None:
    for node, said in facts.of(check).items():
        if set(said) == {"timeout"}:
            what = f"{path} gives no answer in {said['timeout']:.3g} s"
            fix = "its file system hangs there (mount, nfsstat), or is very slow"
            blame = (node,) if len(facts.of(check)) > 1 else ()
            column.add(Finding("no-answer", node, what, fix, blame=blame), "hangs")


def _unreadable(column: Column, path: str, there: dict[int, Any]) -> None:
    """Find nodes that may not read all of it."""
    failing = {node: said["unreadable"] for node, said in there.items() if said.get("unreadable")}
    for node, files in failing.items():
        blame = (node,) if len(failing) < len(there) else ()
        # What no node may read of it may be somebody else's; only the program knows.
        some = not blame and there[node]["lost"] < there[node]["files"]
        severity = "warning" if some else "error"
        what = f"cannot read all of {path}"
        fix = "make it readable: chmod -R a+rX, or see ls -l and dmesg there"
        evidence = several(f"{name}: {why}" for name, why in files)
        finding = Finding("data-missing", node, what, fix, evidence, severity, blame)
        column.add(finding, "unreadable")


def _compare(facts: Facts, column: Column, path: str, there: dict[int, Any]) -> None:
    have: dict[int, tuple[Any, ...]] = {
        node: (said["files"], said["bytes"], said["listing"], said["sums"])
        for node, said in there.items()
        if not said["late"] and not said.get("unreadable")
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


_LONG = 50.0  # seconds
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
    "exits": (
        "the program's imports end it",
        "see why {0} does so: its arguments are not known here, or it misses something",
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
            everywhere = len(failing) == len(said)  # with its arguments it may not end
            severity = "warning" if found.get("kind") == "exits" and everywhere else "error"
            why = found["missing"]
            finding = Finding("import-fails", node, what, fix, why, severity, blame)
            column.add(finding, "fails")
        elif "slow" in found:
            column.add(_slow(node, found, any("fine" in other for other in said.values())), "slow")
        else:
            column.fine(node)
    if facts.settings.entrypoint is None:
        for node in facts.heard:
            column.skip(node, "swept: not tried")
    return column


def _slow(node: int, found: dict[str, Any], others: bool) -> Finding:
    """Tell a node on which an import hangs from one that had little time."""
    what = f"the program's imports take longer than {found['slow']:.3g} s"
    what += f": it stood at import {found['at']}" if found.get("at") else ""
    what += "; other nodes are done" if others else ""
    fix = "a slow file system under the environment, or an import that wants the network"
    hangs = others and found["slow"] > _LONG
    severity, blame = ("error", (node,)) if hangs else ("warning", ())
    return Finding("import-slow", node, what, fix, "", severity, blame)
