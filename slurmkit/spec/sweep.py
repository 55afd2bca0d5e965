"""Sweeps: dotted paths into the job, each with the values to try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slurmkit.spec.errors import nearest

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


def missing_path(spec: JobSpec, dotted: str) -> tuple[str, str] | None:
    """Say why a dotted path leads nowhere in the job, and what to write; None if it exists.

    For `resources.node`: "resources has no node" and "did you mean resources.nodes?".
    """
    first = dotted.partition(".")[0]
    if first in ("sweep", "sweep_limit", "profile"):
        return f"{first} cannot be swept", "sweep other fields"
    here: Any = spec
    walked: list[str] = []
    for part in dotted.split("."):
        known = _keys(here)
        if part not in known:
            where = ".".join(walked) or "the job"
            like = nearest(part, known)
            if like:
                fix = f"did you mean {'.'.join([*walked, like])}?"
            elif here is None or isinstance(here, dict):
                fix = f"write {where} in the job first, with a value of {part} to start from"
            else:
                fix = f"{where} has {', '.join(known)}" if known else f"sweep {where} as a whole"
            return f"{where} has no {part}", fix
        here = _value(here, part)
        walked.append(part)
    return None


def _keys(here: Any) -> list[str]:
    if isinstance(here, dict):
        return list(here)
    fields = getattr(type(here), "model_fields", {})
    return [info.alias or name for name, info in fields.items()]


def _value(here: Any, part: str) -> Any:
    if isinstance(here, dict):
        return here[part]
    return getattr(here, "pass_" if part == "pass" else part)
