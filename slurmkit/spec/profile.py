"""Where profiles lie and which one a job gets."""

from __future__ import annotations

import os
from pathlib import Path

from slurmkit.spec.errors import Place, Problem, SpecError, nearest

NONE = "none"
"""The name that asks for no profile, not even `default`."""


def find_profile(chosen: str | None, named: str | None) -> Path | None:
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
    for name, asked_by in (
        (chosen, "--profile"),
        (os.environ.get("SLURMKIT_PROFILE"), "SLURMKIT_PROFILE"),
        (named, "profile"),
    ):
        if name:
            return None if name == NONE else _existing(name, asked_by)
    return _search("default")


def folders() -> list[Path]:
    """Return the folders that are searched, nearest first."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return [Path("profiles"), Path(config).expanduser() / "slurmkit" / "profiles"]


def _existing(name: str, asked_by: str) -> Path:
    found = Path(name).expanduser() if _is_path(name) else _search(name)
    if found is not None and found.is_file():
        return found
    known = sorted({file.stem for folder in folders() for file in folder.glob("*.yaml")})
    like = nearest(name, known)
    raise SpecError(
        [
            Problem(
                f"no profile {name!r}",
                Place(asked_by),
                expected="a file in " + " or ".join(str(folder) for folder in folders()),
                fix=f"did you mean {like}?"
                if like
                else f"write {folders()[-1] / (name + '.yaml')}, or use --profile none",
            )
        ]
    )


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml"))


def _search(name: str) -> Path | None:
    files = (folder / f"{name}.yaml" for folder in folders())
    return next((file for file in files if file.is_file()), None)
