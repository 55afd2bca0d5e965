"""Sweeps: dotted paths into the job, each with the values to try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slurmkit.spec.errors import nearest

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


def missing_path(spec: JobSpec, dotted: str) -> tuple[str, str] | None:
    """Say why a dotted path leads nowhere in the job, and what to write; None if it exists.

    >>> missing_path(spec, "resources.node")
    ('resources has no node', 'did you mean resources.nodes?')
    """
    here: Any = spec
    walked: list[str] = []
    for part in dotted.split("."):
        known = _keys(here)
        if part not in known:
            where = ".".join(walked) or "the job"
            like = nearest(part, known)
            if like:
                fix = f"did you mean {'.'.join([*walked, like])}?"
            elif walked[:2] == ["entrypoint", "config"]:
                fix = "give the value a default in entrypoint.config first"
            else:
                fix = f"{where} has {', '.join(known)}" if known else f"{where} is a single value"
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
