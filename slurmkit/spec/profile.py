"""Where profiles lie and which one a job gets."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from slurmkit.spec.errors import Place, Problem, SpecError, dotted, nearest, shown

NONE = "none"
"""The name that asks for no profile, not even `default`."""

_HOW = (
    "write that file, or use --profile none; `slurmkit init --profile` drafts it on a login node, "
    "`slurmkit init --profile --list` names some that are ready"
)


class Profile(NamedTuple):
    """The profile that a job file names, and where it does so."""

    name: str
    place: Place


def find_profile(chosen: str | None, named: Profile | None) -> Path | None:
    """Find the profile's file.

    Args:
        chosen: what `--profile` says.
        named: what the job's own `profile:` says.

    Returns:
        The file of the first given of `chosen`, `SLURMKIT_PROFILE`, `named`; without any, the
        profile `default` if there is one, else None.

    Raises:
        SpecError: a profile was asked for and none of that name exists.
    """
    for name, place in (
        (chosen, Place("--profile")),
        (os.environ.get("SLURMKIT_PROFILE"), Place("SLURMKIT_PROFILE")),
        named or (None, Place("profile")),
    ):
        if name:
            return None if name == NONE else _existing(name, place)
    return _search("default")


def folders() -> list[Path]:
    """Return the folders that are searched, nearest first."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return [Path("profiles"), _expanded(config) / "slurmkit" / "profiles"]


def _existing(name: str, place: Place) -> Path:
    if _is_path(name):
        found = _file(_expanded(name))
        expected, fix = "a file", "name a file that exists, or use --profile none"
    else:
        found = _search(name)
        known = sorted({file.stem for folder in folders() for file in folder.glob("*.yaml")})
        like = nearest(name, known)
        expected = f"{dotted((name,))}.yaml in " + " or ".join(map(str, folders()))
        fix = f"did you mean {like}?" if like else _HOW
    if found is None:
        what = f"no profile {shown(name)}"
        raise SpecError([Problem(what, place, expected=expected, fix=fix)])
    return found


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml"))


def _search(name: str) -> Path | None:
    files = (_file(folder / f"{name}.yaml") for folder in folders())
    return next(filter(None, files), None)


def _file(path: Path) -> Path | None:
    with suppress(OSError, ValueError):  # a name that is too long, or holds a NUL
        return path if path.is_file() else None
    return None


def _expanded(path: str) -> Path:
    with suppress(RuntimeError):  # no such user, or no home
        return Path(path).expanduser()
    return Path(path)
