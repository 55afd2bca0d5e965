"""Storage: room for checkpoints, the right to write them, seen by all, and not too slow."""

from __future__ import annotations

import errno
from statistics import median
from typing import Any

from ..facts import Facts
from .common import as_asked, counted, several, size, usable
from .finding import Column, Finding

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SLOW = 20e6  # bytes a second
_OF_USUAL = 0.1
_SCRATCH = 64 << 20  # bytes of /dev/shm and /tmp that any program wants
_INODES = 1000


def storage(facts: Facts) -> Column:
    """Judge the directories that a job writes to."""
    column = Column("storage")
    for at, path in enumerate(facts.settings.storage):
        said = usable(facts, column, f"storage {at}")
        for node, found in said.items():
            _room(facts, column, node, path, found)
        _seen(facts, column, at, path)
        _speed(column, path, said)
        for node, found in said.items():
            speed = f", {size(found['speed'])}/s" if "speed" in found else ""
            column.fine(node, f"{size(found.get('free', 0))} free{speed}")
    _scratch(facts, column)
    return column


def _room(facts: Facts, column: Column, node: int, path: str, found: dict[str, Any]) -> None:
    left = ""
    if "free" in found:
        left = f"{size(found['free'])} free on {found['directory']} ({found['type'] or 'unknown'})"
    blame = (node,) if len(facts.of("temporary")) > 1 and not _everywhere(facts, path) else ()
    if found.get("errno") in _FULL:
        full = found["free"] < (64 << 20)
        what = f"cannot write to {path}: " + ("the disk is full" if full else found["error"])
        fix = "make room there" if full else "see quota -s, df -i: the disk is not full, you are"
        column.add(Finding("disk-full", node, what, fix, left, blame=blame), "full")
    elif "error" in found:
        what = f"cannot write to {path}: {found['error']}"
        fix = "see its owner, rights and mount options there (ls -ld, findmnt)"
        column.add(Finding("disk-not-writable", node, what, fix, left, blame=blame), "no write")
    elif found["free"] < facts.settings.free:
        what = f"too little room in {path}: {as_asked(facts.settings.free)} are wanted"
        fix = "make room, or have checkpoints elsewhere; preflight.free_space says what is wanted"
        column.add(Finding("disk-low", node, what, fix, left, blame=blame), "low")
    elif found.get("inodes") is not None and found["inodes"] < _INODES:
        what = f"only {counted(found['inodes'], 'more file')} can be made in {path}"
        fix = "remove small files there (df -i)"
        # A warning: file systems that do not count files say anything here, and one was made.
        column.add(Finding("disk-low", node, what, fix, left, "warning", blame), "no inodes")


def _everywhere(facts: Facts, path: str) -> bool:
    """Tell whether all nodes have the same trouble with a path, which then is not theirs."""
    said = list(facts.of(f"storage {facts.settings.storage.index(path)}").values())
    bad = ["error" in found or found.get("free", 0) < facts.settings.free for found in said]
    return len(said) > 1 and all(bad)


def _seen(facts: Facts, column: Column, at: int, path: str) -> None:
    """Find nodes whose files the others do not see."""
    unseen = {node: set(lists[at]) for node, lists in facts.unseen.items() if len(lists) > at}
    wrote = {node for node, found in facts.of(f"storage {at}").items() if "speed" in found}
    missed = {n: {o for o in others & wrote if o != n} for n, others in unseen.items()}
    missed = {node: others for node, others in missed.items() if others}
    if not missed:
        return
    fix = "put run directory and checkpoints on a file system that all nodes mount"
    alone = [n for n in unseen if unseen[n] >= wrote - {n} and all(
        n in unseen[o] for o in unseen if o != n and o in wrote)]  # fmt: skip
    if len(alone) == len(unseen) or not alone:
        what = f"{path} is not one directory on all nodes"
        kinds = {
            n: found.get("type") or "unknown" for n, found in facts.of(f"storage {at}").items()
        }
        pairs = several(
            f"{facts.name(n)} ({kinds[n]}) does not see {several(map(facts.name, sorted(others)))}"
            for n, others in sorted(missed.items())
        )
        for count, node in enumerate(sorted(missed)):
            column.add(Finding("not-shared", node, what, fix, pairs), "not shared", kept=count == 0)
        return
    for node in alone:
        what = f"{path} is another directory than on the other nodes: a mount is missing"
        kind = facts.of(f"storage {at}")[node].get("type")
        look = f"findmnt --target {path} there"
        evidence = f"there it is on {kind or 'an unknown file system'}"
        finding = Finding("not-shared", node, what, look, evidence, blame=(node,))
        column.add(finding, "not shared")


def _speed(column: Column, path: str, said: dict[int, Any]) -> None:
    speeds = {node: found["speed"] for node, found in said.items() if "speed" in found}
    usual = median(speeds.values()) if speeds else 0.0
    for node, speed in speeds.items():
        beside = len(speeds) > 2 and speed < _OF_USUAL * usual
        if speed < _SLOW or (beside and speed < 5 * _SLOW):
            what = f"writing to {path} is slow"
            evidence = f"{size(speed)}/s" + (f", other nodes {size(usual)}/s" if beside else "")
            fix = "checkpoints will take long: another file system, or tell the site"
            blame = (node,) if beside else ()
            column.add(Finding("disk-slow", node, what, fix, evidence, "warning", blame), "slow")


def _scratch(facts: Facts, column: Column) -> None:
    said: dict[int, dict[str, int]] = usable(facts, column, "temporary", grave=False)
    for node, free in said.items():
        low: list[str] = [path for path, count in free.items() if count < _SCRATCH]
        for path in low:
            what = f"little room in {path}"
            fix = "data loaders and NCCL share memory there; in Docker: --shm-size, --ipc=host"
            if path != "/dev/shm":  # noqa: S108
                fix = "programs keep what is passing there; make room, or set TMPDIR"
            evidence = f"{size(free[path])} free"
            column.add(Finding("disk-low", node, what, fix, evidence, "warning"), path)
