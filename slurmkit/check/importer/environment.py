"""Statements that have a field of their own: modules, venv, conda; `set -e`; a requeue."""

from __future__ import annotations

import re

from slurmkit.check.importer.draft import Draft

HOOK = "slurmkit does it before `environment.conda`"
_MODULES = re.compile(
    r"(?:module\s+(?:load|add)|ml(?:\s+load)?)\s+"
    r"((?!(?:purge|list|use|unload|swap|avail|-)\b)[\w@%+:./][\w@%+:./-]*"
    r"(?:\s+[\w@%+:./][\w@%+:./-]*)*)"
)
_SET = re.compile(
    r"set((?: [-+](?:[euxvE]*o (?:errexit|pipefail|nounset|xtrace|verbose)|[euxvE]+))+)"
)
_ACTIVATE = re.compile(r"(?:source|\.)\s+[\"']?(\S+?)/bin/activate[\"']?$")
_OTHER = re.compile(r"\$\(|`|conda|mamba|miniforge", re.IGNORECASE)
"""Not the path of a venv: conda has a script of that name too."""
_CONDA = re.compile(r"(?:source|conda) activate [\"']?([\w./@+~-]+)[\"']?")
_HOOK = re.compile(  # with a conda that is on PATH: slurmkit finds it there as well
    r"(?:source|\.)\s+[\"']?(?:\$\(|`)conda info --base(?:\)|`)\S*[\"']?"
    r"|eval\s+[\"']?(?:\$\(|`)conda\s+shell\.\S+\s+hook.*"
)


def stops(text: str) -> str | None:
    """Tell what `set -euo pipefail` and the like make of failures: "on", "off" or "" (neither).

    None for any other statement.
    """
    match = _SET.fullmatch(text)
    if match is None:
        return None
    state = ""
    for sign, letters, name in re.findall(r"([-+])([euxvE]*)(?:o (\w+))?", match[1]):
        if "e" in letters or name == "errexit":
            state = "on" if sign == "-" else "off"
    return state


def named(text: str, draft: Draft, *, is_open: bool) -> str | None:
    """Put a statement into its field.

    Args:
        text: The statement on one line, with the variables put in that are known.
        draft: The job file in the making.
        is_open: Whether modules and environments may still be named: nothing that must come
            before them goes into setup.

    Returns:
        What to tell about it, which may be nothing; None where it has no field.
    """
    if text.startswith("trap ") and ("requeue" in text or "requeue" in draft.fields):
        return "see `requeue`"
    if not is_open:
        return None
    if match := _MODULES.fullmatch(text):
        draft.add("environment", "modules", match[1].split())
        return ""
    if (match := _ACTIVATE.fullmatch(text)) and not _OTHER.search(match[1]):
        path = re.sub(r"^\$\{?HOME\}?/", "~/", match[1])
        draft.put("environment", "venv", re.sub(r"\$\{?(\w+)\}?", r"${env:\1}", path))
        return ""
    if (match := _CONDA.fullmatch(text)) and not draft.get("environment", "venv"):
        draft.put("environment", "conda", match[1])
        return ""
    return HOOK if _HOOK.fullmatch(text) else None
